//! The packet around an answer.

use vnet_plugin::datagram::{UDP_HEADER, fill, ip_header};
use vnet_plugin::{Flow, Packet};

use crate::question;

/// Makes a frame with a query the answer to it; `None` where it is not as its flow says.
///
/// IP options and extension headers are left out: what was meant for the way there is not for the way back.
pub fn send(pkt: &mut Packet, flow: &Flow, len: usize, edns: bool) -> Option<()> {
    let is_l3 = pkt.is_l3();
    let message = flow.l4_at? + UDP_HEADER;
    let udp_at = flow.ip_at + ip_header(flow.src);
    let (asker, resolver) = flow.ports?;

    let frame = pkt.frame_mut();
    let len = question::deny(frame.get_mut(message..flow.end)?, len, edns);
    frame.copy_within(message..message + len, udp_at + UDP_HEADER);
    let end = udp_at + UDP_HEADER + len;
    fill(frame.get_mut(flow.ip_at..end)?, flow.dst, flow.src, (resolver, asker), true);
    pkt.set_len(end).ok()?;
    pkt.csum_finished();
    if !is_l3 {
        let mut eth = pkt.eth_mut()?;
        let (src, dst) = (eth.src(), eth.dst());
        eth.set_dst(src);
        eth.set_src(dst);
    }
    Some(())
}
