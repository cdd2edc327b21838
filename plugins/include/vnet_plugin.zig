//! vnet_plugin.zig: write a vnet plugin in Zig. One file, nothing to link.
//!
//!     zig build-exe my.zig -target wasm32-freestanding -fno-entry -rdynamic -O ReleaseFast --stack 65536
//!
//! Write a function that takes a `Packet` and answers a `Verdict`, and name it once:
//!
//!     const vn = @import("vnet_plugin.zig");
//!     comptime {
//!         vn.plugin(onPacket, .{ .gso = true, .csum = true, .pure = true });
//!     }
//!     inline fn onPacket(pkt: vn.Packet) vn.Verdict {
//!         return if (pkt.isBroadcast()) .drop else .pass;
//!     }
//!
//! The manifest is JSON beside the source, in NAME.json: `vnet plugin build` puts it into the module.

/// What becomes of a frame. UNSET counts as PASS.
pub const Verdict = enum(u8) { pass = 0, drop = 1, redirect = 2, tx = 3, unset = 255 };

/// Out port of a redirect: every port but the arrival one.
pub const flood: u16 = 0xffff;

/// Levels of `log`.
pub const Level = enum(i32) { err = 0, warn = 1, info = 2, debug = 3 };

pub const ethertype = struct {
    pub const ipv4 = 0x0800;
    pub const arp = 0x0806;
    pub const vlan = 0x8100;
    pub const ipv6 = 0x86dd;
    pub const qinq = 0x88a8;
};

/// What a plugin declares.
pub const Options = struct {
    /// Accepts super-frames of up to 64 KiB.
    gso: bool = false,
    /// Accepts partial checksums.
    csum: bool = false,
    /// The verdict depends on the frame's bytes alone, and nothing is rewritten.
    pure: bool = false,
    /// Descriptors in the ring, 8 to 1,024; the host passes at most half of them as frames.
    ring_len: u32 = 128,
    /// Bytes of a slot, a multiple of 64; 0 takes 2,112, or 65,856 with `gso`.
    slot_len: u32 = 0,
};

/// What the plugin tells the host once: 32 bytes.
const Info = extern struct {
    magic: [4]u8,
    major: u16,
    minor: u16,
    desc_size: u32,
    ring_len: u32,
    ring: u32,
    arena: u32,
    arena_len: u32,
    flags: u32,
};

/// One frame's descriptor: 40 bytes.
pub const Desc = extern struct {
    off: u32,
    len: u32,
    cap: u32,
    verdict: u8,
    pad: u8,
    flags: u16,
    port: u16,
    out_port: u16,
    gso_size: u16,
    reason: u16,
    mark: u32,
    delay_us: u32,
    ts_ns: u64,
};

comptime {
    if (@sizeOf(Info) != 32 or @sizeOf(Desc) != 40) @compileError("layout of the plugin ABI");
}

/// Bits of `Desc.flags`, host to guest, then guest to host.
pub const flags = struct {
    pub const csum_partial: u16 = 1;
    pub const gso: u16 = 2;
    pub const egress: u16 = 4;
    pub const injected: u16 = 8;
    pub const l3: u16 = 16;
    pub const csum_dirty: u16 = 256;
    pub const delay: u16 = 512;
};

const host = struct {
    extern "vnet" fn log(level: i32, text: [*]const u8, len: u32) void;
    extern "vnet" fn counter(name: [*]const u8, len: u32) i32;
    extern "vnet" fn count(id: i32, n: i64) void;
    extern "vnet" fn config_int(key: [*]const u8, len: u32, otherwise: i64) i64;
    extern "vnet" fn random() i64;
    extern "vnet" fn inject(port: i32, frame: [*]const u8, len: u32) i32;
    extern "vnet" fn timer(id: i32, after_ns: i64) void;
    extern "vnet" fn config_str(key: [*]const u8, len: u32, buf: [*]u8, cap: u32) i32;
};

/// Writes a line to the plugin's log.
pub fn log(level: Level, text: []const u8) void {
    host.log(@intFromEnum(level), text.ptr, text.len);
}

/// Returns a random number; the manifest asks for the capability `random`.
pub fn random() u64 {
    return @bitCast(host.random());
}

/// Sends a frame of the plugin's own; the manifest asks for `inject`. False where the host does not take it.
pub fn inject(port: u16, frame: []const u8) bool {
    return host.inject(port, frame.ptr, frame.len) == 0;
}

/// Has the function of `onTimer` called once, so many nanoseconds later; negative takes it back. The manifest asks for `timer`.
pub fn timer(id: i32, after_ns: i64) void {
    host.timer(id, after_ns);
}

/// Returns the configured integer, or `otherwise`.
pub fn configInt(key: []const u8, otherwise: i64) i64 {
    return host.config_int(key.ptr, key.len, otherwise);
}

/// Returns as much of the configured text as fits the buffer; null where the key is absent.
pub fn configStr(key: []const u8, buf: []u8) ?[]const u8 {
    const len = host.config_str(key.ptr, key.len, buf.ptr, buf.len);
    if (len < 0) return null;
    return buf[0..@min(buf.len, @as(usize, @intCast(len)))];
}

/// A counter that the host shows under this name. Make it in `configure`.
pub const Counter = struct {
    id: i32,

    pub fn init(name: []const u8) Counter {
        return .{ .id = host.counter(name.ptr, name.len) };
    }

    pub inline fn add(self: Counter, n: i64) void {
        host.count(self.id, n);
    }
};

pub inline fn be16(p: [*]const u8) u16 {
    return @as(u16, p[0]) << 8 | p[1];
}

pub inline fn be32(p: [*]const u8) u32 {
    return @as(u32, be16(p)) << 16 | be16(p + 2);
}

pub inline fn put16(p: [*]u8, value: u16) void {
    p[0] = @truncate(value >> 8);
    p[1] = @truncate(value);
}

pub inline fn put32(p: [*]u8, value: u32) void {
    put16(p, @truncate(value >> 16));
    put16(p + 2, @truncate(value));
}

/// Returns an Internet checksum after a 16-bit word that it covers changed (RFC 1624, equation 3).
pub fn csumUpdate16(sum: u16, before: u16, after: u16) u16 {
    var s: u32 = @as(u32, ~sum) + @as(u32, ~before) + after;
    s = (s >> 16) + (s & 0xffff);
    return ~@as(u16, @truncate((s >> 16) + s));
}

/// The same for a 32-bit word at an even offset.
pub fn csumUpdate32(sum: u16, before: u32, after: u32) u16 {
    const high = csumUpdate16(sum, @truncate(before >> 16), @truncate(after >> 16));
    return csumUpdate16(high, @truncate(before), @truncate(after));
}

/// UDP's header.
pub const Udp = struct {
    at: [*]u8,
    len: u32,

    pub inline fn src(self: Udp) u16 {
        return be16(self.at);
    }
    pub inline fn dst(self: Udp) u16 {
        return be16(self.at + 2);
    }
    pub inline fn payload(self: Udp) []u8 {
        return self.at[8..self.len];
    }
};

/// TCP's header.
pub const Tcp = struct {
    at: [*]u8,
    len: u32,

    pub inline fn src(self: Tcp) u16 {
        return be16(self.at);
    }
    pub inline fn dst(self: Tcp) u16 {
        return be16(self.at + 2);
    }
    pub inline fn seq(self: Tcp) u32 {
        return be32(self.at + 4);
    }
    pub inline fn flagBits(self: Tcp) u8 {
        return self.at[13];
    }
};

/// The header of either version of IP, and where its segment starts.
pub const Ip = struct {
    desc: *Desc,
    at: [*]u8,
    len: u32,
    header_len: u32,
    /// Of a later fragment it is 0: the ports are in the first.
    protocol: u8,

    pub inline fn udp(self: Ip) ?Udp {
        if (self.protocol != 17 or self.len - self.header_len < 8) return null;
        return .{ .at = self.at + self.header_len, .len = self.len - self.header_len };
    }
    pub inline fn tcp(self: Ip) ?Tcp {
        if (self.protocol != 6 or self.len - self.header_len < 20) return null;
        return .{ .at = self.at + self.header_len, .len = self.len - self.header_len };
    }

    inline fn isV4(self: Ip) bool {
        return self.at[0] >> 4 == 4;
    }

    /// An address, 4 or 16 bytes of the frame.
    pub inline fn address(self: Ip, end: End) []u8 {
        const size: u32 = if (self.isV4()) 4 else 16;
        const first: u32 = if (self.isV4()) 12 else 8;
        const at = first + size * @intFromEnum(end);
        return self.at[at .. at + size];
    }
    pub inline fn src(self: Ip) []u8 {
        return self.address(.src);
    }
    pub inline fn dst(self: Ip) []u8 {
        return self.address(.dst);
    }
    /// The time to live, or the hop limit.
    pub inline fn ttl(self: Ip) u8 {
        return self.at[if (self.isV4()) 8 else 7];
    }

    // These write a field and keep every sum over it right (RFC 1624), partial ones too.

    pub fn setTtl(self: Ip, to: u8) void {
        if (!self.isV4()) {
            self.at[7] = to;
            return;
        }
        const before = be16(self.at + 8);
        self.at[8] = to;
        put16(self.at + 10, csumUpdate16(be16(self.at + 10), before, be16(self.at + 8)));
    }

    pub fn setAddress(self: Ip, end: End, to: []const u8) void {
        const old = self.address(end);
        const sum = self.sumPlace();
        var i: u32 = 0;
        while (i < old.len) : (i += 2) {
            const before = be16(old.ptr + i);
            const after = be16(to.ptr + i);
            if (self.isV4()) put16(self.at + 10, csumUpdate16(be16(self.at + 10), before, after));
            self.updateSegment(sum, before, after);
            put16(old.ptr + i, after);
        }
    }

    pub fn setPort(self: Ip, end: End, to: u16) void {
        if (self.udp() == null and self.tcp() == null) return;
        const at = self.at + self.header_len + 2 * @as(u32, @intFromEnum(end));
        const before = be16(at);
        put16(at, to);
        // A partial sum does not cover the ports.
        if (self.desc.flags & flags.csum_partial == 0) self.updateSegment(self.sumPlace(), before, to);
    }

    /// Where the transport checksum lies, which covers the addresses; null where there is none.
    fn sumPlace(self: Ip) ?[*]u8 {
        const segment = self.at + self.header_len;
        const rest = self.len - self.header_len;
        return switch (self.protocol) {
            6 => if (rest >= 20) segment + 16 else null,
            17 => if (rest >= 8 and (segment[6] | segment[7]) != 0) segment + 6 else null,
            58 => if (rest >= 4) segment + 2 else null,
            else => null,
        };
    }

    fn updateSegment(self: Ip, place: ?[*]u8, before: u16, after: u16) void {
        const sum = place orelse return;
        if (self.desc.flags & flags.csum_partial != 0) {
            // It holds the pseudo-header's sum alone, and that not inverted.
            put16(sum, ~csumUpdate16(~be16(sum), before, after));
            return;
        }
        const fresh = csumUpdate16(be16(sum), before, after);
        put16(sum, if (fresh == 0 and self.protocol == 17) 0xffff else fresh);
    }
};

/// Which end of a packet.
pub const End = enum(u1) { src = 0, dst = 1 };

/// One frame, with views of its headers behind up to two VLAN tags.
pub const Packet = struct {
    desc: *Desc,

    pub inline fn data(self: Packet) [*]u8 {
        return @ptrFromInt(self.desc.off);
    }
    pub inline fn bytes(self: Packet) []u8 {
        return self.data()[0..self.desc.len];
    }
    pub inline fn len(self: Packet) u32 {
        return self.desc.len;
    }
    pub inline fn port(self: Packet) u16 {
        return self.desc.port;
    }
    /// The lab's clock in nanoseconds.
    pub inline fn now(self: Packet) u64 {
        return self.desc.ts_ns;
    }
    pub inline fn mark(self: Packet) u32 {
        return self.desc.mark;
    }
    pub inline fn setMark(self: Packet, to: u32) void {
        self.desc.mark = to;
    }
    /// Holds the frame for so many microseconds.
    pub inline fn delay(self: Packet, us: u32) void {
        self.desc.flags |= flags.delay;
        self.desc.delay_us = us;
    }
    /// Shortens or lengthens the frame at its end, with zeros; false where the slot ends first.
    pub fn setLen(self: Packet, to: u32) bool {
        if (to > slots.len - (self.desc.off - slots.arena) % slots.len) return false;
        if (to > self.desc.len) @memset(self.data()[self.desc.len..to], 0);
        self.desc.len = to;
        return true;
    }
    pub inline fn isEgress(self: Packet) bool {
        return self.desc.flags & flags.egress != 0;
    }
    pub inline fn isBroadcast(self: Packet) bool {
        const p = self.data();
        return self.desc.len >= 14 and p[0] & p[1] & p[2] & p[3] & p[4] & p[5] == 0xff;
    }

    /// Where the network header of this ethertype starts; null where it is another.
    inline fn network(self: Packet, wanted: u16) ?u32 {
        if (self.desc.flags & flags.l3 != 0) return 0;
        const p = self.data();
        var at: u32 = 12;
        var tags: u32 = 0;
        while (at + 2 <= self.desc.len) : (at += 4) {
            const kind = be16(p + at);
            if (tags == 2 or (kind != ethertype.vlan and kind != ethertype.qinq)) {
                return if (kind == wanted) at + 2 else null;
            }
            tags += 1;
        }
        return null;
    }

    pub inline fn ipv4(self: Packet) ?Ip {
        const at = self.network(ethertype.ipv4) orelse return null;
        const p = self.data() + at;
        const rest = self.desc.len - at;
        if (rest < 20 or p[0] >> 4 != 4) return null;
        const header = @as(u32, p[0] & 15) * 4;
        if (header < 20 or header > rest) return null;
        const later = be16(p + 6) & 0x1fff != 0;
        return .{ .desc = self.desc, .at = p, .len = rest, .header_len = header, .protocol = if (later) 0 else p[9] };
    }

    pub inline fn ipv6(self: Packet) ?Ip {
        const at = self.network(ethertype.ipv6) orelse return null;
        const p = self.data() + at;
        const rest = self.desc.len - at;
        if (rest < 40 or p[0] >> 4 != 6) return null;
        return .{ .desc = self.desc, .at = p, .len = rest, .header_len = 40, .protocol = p[6] };
    }

    /// Drops with a reason code of the manifest.
    pub inline fn drop(self: Packet, reason: u16) Verdict {
        self.desc.reason = reason;
        return .drop;
    }
    /// Sends the frame out of another port, or with `flood` out of all but its own.
    pub inline fn redirect(self: Packet, out: u16) Verdict {
        self.desc.out_port = out;
        return .redirect;
    }
    /// Asks the host to recompute the IPv4, TCP, UDP, ICMP and ICMPv6 sums.
    pub inline fn csumDirty(self: Packet) void {
        self.desc.flags |= flags.csum_dirty;
    }
};

/// What the slots of frames are, and the descriptor that the next `append` takes.
const slots = struct {
    var arena: u32 = 0;
    var len: u32 = 0;
    var next: [*]Desc = undefined;
    var end: u32 = 0;
};

/// Adds a frame that is sent after those of the batch, by `redirect` (to a port), `tx` or `pass`; false where it does not fit.
pub fn append(frame: []const u8, verdict: Verdict, port: u16) bool {
    if (@intFromPtr(slots.next) >= slots.end or frame.len == 0 or frame.len > slots.len - 128) return false;
    const desc = &slots.next[0];
    const to: [*]u8 = @ptrFromInt(desc.off);
    @memcpy(to[0..frame.len], frame);
    desc.len = frame.len;
    desc.verdict = @intFromEnum(verdict);
    desc.out_port = port;
    slots.next += 1;
    return true;
}

/// A table of `key_size`-byte keys and `value_size`-byte values with `capacity` slots, a power of two; keep it half empty.
/// Named in `maps` the host sees it, and carries it over to a fresh instance:
///
///     const Sources = vn.Map("sources", 4, 8, 1024);
///     comptime { vn.maps(.{Sources}); }
pub fn Map(comptime name: []const u8, comptime key_size: u32, comptime value_size: u32, comptime capacity: u32) type {
    if (capacity == 0 or capacity & (capacity - 1) != 0) @compileError("the slots of a map are a power of two");
    return struct {
        const Slot = extern struct {
            state: u32,
            hash: u32,
            key: [(key_size + 7) / 8 * 8]u8 align(8),
            value: [(value_size + 7) / 8 * 8]u8 align(8),
        };
        var slot: [capacity]Slot align(8) = @splat(.{ .state = 0, .hash = 0, .key = @splat(0), .value = @splat(0) });
        var header: MapHeader = .{
            .magic = "VMAP".*,
            .key_size = key_size,
            .value_size = value_size,
            .capacity = capacity,
            .count = 0,
            .name = name.ptr,
            .name_len = name.len,
            .flags = 0,
            .slots = &slot,
        };

        const Found = struct { at: ?*Slot, hash: u32, is_used: bool };

        /// The slot of a key, or the one it would take; null where the table is full.
        fn find(key: *const [key_size]u8) Found {
            var hash: u32 = 2166136261;
            for (key) |byte| hash = (hash ^ byte) *% 16777619;
            var free: ?*Slot = null;
            var i: u32 = 0;
            while (i < capacity) : (i += 1) {
                const at = &slot[(hash +% i) & (capacity - 1)];
                if (at.state == 1 and at.hash == hash and same(at.key[0..key_size], key)) {
                    return .{ .at = at, .hash = hash, .is_used = true };
                }
                if (at.state != 1 and free == null) free = at;
                if (at.state == 0) break;
            }
            return .{ .at = free, .hash = hash, .is_used = false };
        }

        inline fn same(a: *const [key_size]u8, b: *const [key_size]u8) bool {
            for (a, b) |x, y| if (x != y) return false;
            return true;
        }

        /// A key's value, to be read and written in place; null where there is none.
        pub fn get(key: *const [key_size]u8) ?*[value_size]u8 {
            const found = find(key);
            return if (found.is_used) found.at.?.value[0..value_size] else null;
        }

        /// The same, made of zeros where there is none; null where the table is full.
        pub fn put(key: *const [key_size]u8) ?*[value_size]u8 {
            const found = find(key);
            const at = found.at orelse return null;
            if (!found.is_used) {
                at.* = .{ .state = 1, .hash = found.hash, .key = @splat(0), .value = @splat(0) };
                for (key, 0..) |byte, i| at.key[i] = byte;
                header.count += 1;
            }
            return at.value[0..value_size];
        }

        /// Takes a key out; false where there was none.
        pub fn remove(key: *const [key_size]u8) bool {
            const found = find(key);
            if (!found.is_used) return false;
            found.at.?.state = 2;
            header.count -= 1;
            return true;
        }

        pub fn clear() void {
            for (&slot) |*at| at.state = 0;
            header.count = 0;
        }

        pub fn size() u32 {
            return header.count;
        }

        fn describe() *MapHeader {
            return &header;
        }
    };
}

const MapHeader = extern struct {
    magic: [4]u8,
    key_size: u32,
    value_size: u32,
    capacity: u32,
    count: u32,
    name: [*]const u8,
    name_len: u32,
    flags: u32,
    slots: *anyopaque,
};

/// Shows the host these maps. Call it once, in a `comptime` block.
pub fn maps(comptime list: anytype) void {
    const Exports = struct {
        var table: [1 + list.len]u32 = undefined;
        fn run() callconv(.c) *const [1 + list.len]u32 {
            table[0] = list.len;
            inline for (list, 1..) |map, i| table[i] = @intFromPtr(map.describe());
            return &table;
        }
    };
    @export(&Exports.run, .{ .name = "vnet_maps" });
}

/// Makes a function the one that is called when a timer comes. Call it once, in a `comptime` block.
pub fn onTimer(comptime function: fn (id: i32, now_ns: u64) void) void {
    const Exports = struct {
        fn run(id: i32, now_ns: u64) callconv(.c) void {
            function(id, now_ns);
        }
    };
    @export(&Exports.run, .{ .name = "vnet_on_timer" });
}

/// Makes a function the plugin: ring, arena, `vnet_info` and `vnet_on_batch`. Call it once, in a `comptime` block.
pub fn plugin(comptime onPacket: anytype, comptime options: Options) void {
    const Exports = struct {
        const slot_len = if (options.slot_len != 0) options.slot_len else if (options.gso) 65856 else 2112;
        var ring: [options.ring_len]Desc align(8) = undefined;
        var arena: [options.ring_len * slot_len]u8 align(64) = undefined;
        var about: Info = undefined;

        fn info() callconv(.c) *const Info {
            about = .{
                .magic = "VNET".*,
                .major = 1,
                .minor = 0,
                .desc_size = @sizeOf(Desc),
                .ring_len = options.ring_len,
                .ring = @intFromPtr(&ring),
                .arena = @intFromPtr(&arena),
                .arena_len = arena.len,
                .flags = @as(u32, @intFromBool(options.gso)) | @as(u32, @intFromBool(options.csum)) << 1 |
                    @as(u32, @intFromBool(options.pure)) << 2,
            };
            slots.arena = about.arena;
            slots.len = slot_len;
            slots.end = about.ring + options.ring_len * @sizeOf(Desc);
            return &about;
        }

        fn onBatch(desc: [*]Desc, n: u32) callconv(.c) i32 {
            slots.next = desc + n;
            for (desc[0..n]) |*d| d.verdict = @intFromEnum(onPacket(.{ .desc = d }));
            return @intCast((@intFromPtr(slots.next) - @intFromPtr(desc + n)) / @sizeOf(Desc));
        }
    };
    @export(&Exports.info, .{ .name = "vnet_info" });
    @export(&Exports.onBatch, .{ .name = "vnet_on_batch" });
}

/// Makes `fn () bool` the function that takes the configuration, once, before the first frame; false refuses it.
pub fn onConfigure(comptime configure: fn () bool) void {
    const Exports = struct {
        fn run(_: u32, _: u32) callconv(.c) i32 {
            return if (configure()) 0 else 1;
        }
    };
    @export(&Exports.run, .{ .name = "vnet_configure" });
}
