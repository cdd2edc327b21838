use vnet_plugin::{plugin, Packet, Verdict};
#[plugin(gso, csum, pure)]
fn drop_bcast(pkt: &mut Packet) -> Verdict {
    if pkt.eth().dst().is_broadcast() { Verdict::Drop } else { Verdict::Pass }
}
