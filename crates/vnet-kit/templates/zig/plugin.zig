//! Drops UDP datagrams over IPv4 to one port. The manifest is in @NAME@.json.
const vn = @import("vnet_plugin.zig");

const closed_port = 1;

var port: u16 = 9;
var closed: vn.Counter = undefined;

comptime {
    vn.plugin(onPacket, .{ .gso = true, .csum = true });
    vn.onConfigure(configure);
}

fn configure() bool {
    port = @intCast(vn.configInt("port", 9));
    closed = vn.Counter.init("closed");
    return true;
}

inline fn onPacket(pkt: vn.Packet) vn.Verdict {
    const ip = pkt.ipv4() orelse return .pass;
    const udp = ip.udp() orelse return .pass;
    if (udp.dst() != port) return .pass;
    closed.add(1);
    return pkt.drop(closed_port);
}
