// vnet_plugin.ts: write a vnet plugin in AssemblyScript.
//
//   asc my.ts -o my.wasm -O3 --runtime stub --noAssert
//
// The file of the plugin exports three functions of the ABI; this one does their work:
//
//   import * as vn from "./vnet_plugin";
//   export { vnet_info } from "./vnet_plugin";
//   function onPacket(pkt: vn.Packet): u8 { return pkt.isBroadcast() ? vn.DROP : vn.PASS; }
//   export function vnet_on_batch(desc: usize, n: i32): i32 { return vn.each(desc, n, onPacket); }
//
// Frames are raw memory: `pkt.data` is the address of the first byte, and be16(), put16() read and write big endian.
// The manifest is JSON beside the source, in NAME.json: `vnet plugin build` puts it into the module.

// Verdicts.
export const PASS: u8 = 0;
export const DROP: u8 = 1;
export const REDIRECT: u8 = 2;
export const TX: u8 = 3;
// Out port of a redirect: every port but the arrival one.
export const FLOOD: u16 = 0xffff;

// What vnet_info declares: super-frames, partial checksums, verdicts that depend on the bytes alone.
export const GSO: u32 = 1;
export const CSUM: u32 = 2;
export const PURE: u32 = 4;

// Levels of log().
export const ERROR: i32 = 0;
export const WARN: i32 = 1;
export const INFO: i32 = 2;
export const DEBUG: i32 = 3;

export const ETH_IPV4: u16 = 0x0800;
export const ETH_ARP: u16 = 0x0806;
export const ETH_VLAN: u16 = 0x8100;
export const ETH_IPV6: u16 = 0x86dd;
export const ETH_QINQ: u16 = 0x88a8;

const RING_LEN: u32 = 128;
const DESC_SIZE: u32 = 40;
const SLOT_LEN: u32 = 2112;
const F_EGRESS: u16 = 4;
const F_L3: u16 = 16;
const F_CSUM_DIRTY: u16 = 256;

const ring: usize = memory.data(5120, 64); // RING_LEN * DESC_SIZE
const arena: usize = memory.data(270336, 64); // RING_LEN * SLOT_LEN
const about: usize = memory.data(32, 8);

// @ts-ignore: decorator
@external("vnet", "log")
declare function host_log(level: i32, text: usize, len: i32): void;
// @ts-ignore: decorator
@external("vnet", "counter")
declare function host_counter(name: usize, len: i32): i32;
// @ts-ignore: decorator
@external("vnet", "count")
declare function host_count(id: i32, n: i64): void;
// @ts-ignore: decorator
@external("vnet", "config_int")
declare function host_config_int(key: usize, len: i32, otherwise: i64): i64;

// Tells the host where ring and arena lie.
export function vnet_info(): usize {
  store<u32>(about, 0x54454e56); // "VNET"
  store<u16>(about, 1, 4);
  store<u16>(about, 0, 6);
  store<u32>(about, DESC_SIZE, 8);
  store<u32>(about, RING_LEN, 12);
  store<u32>(about, <u32>ring, 16);
  store<u32>(about, <u32>arena, 20);
  store<u32>(about, RING_LEN * SLOT_LEN, 24);
  store<u32>(about, 0, 28);
  return about;
}

// Judges every frame of a batch; the answer of vnet_on_batch.
// @ts-ignore: decorator
@inline
export function each(desc: usize, n: i32, judge: (pkt: Packet) => u8): i32 {
  const end = desc + <usize>n * DESC_SIZE;
  for (let d = desc; d < end; d += DESC_SIZE) {
    store<u8>(d, judge(changetype<Packet>(d)), 12);
  }
  return 0;
}

export function log(level: i32, text: string): void {
  const utf8 = String.UTF8.encode(text);
  host_log(level, changetype<usize>(utf8), utf8.byteLength);
}

// Makes a counter that the host shows under this name; call it in vnet_configure.
export function counter(name: string): i32 {
  const utf8 = String.UTF8.encode(name);
  return host_counter(changetype<usize>(utf8), utf8.byteLength);
}

// @ts-ignore: decorator
@inline
export function count(id: i32, n: i64): void {
  host_count(id, n);
}

// The configured integer, or `otherwise`.
export function configInt(key: string, otherwise: i64): i64 {
  const utf8 = String.UTF8.encode(key);
  return host_config_int(changetype<usize>(utf8), utf8.byteLength, otherwise);
}

// @ts-ignore: decorator
@inline
export function be16(p: usize): u16 {
  return bswap(load<u16>(p));
}
// @ts-ignore: decorator
@inline
export function be32(p: usize): u32 {
  return bswap(load<u32>(p));
}
// @ts-ignore: decorator
@inline
export function put16(p: usize, value: u16): void {
  store<u16>(p, bswap(value));
}
// @ts-ignore: decorator
@inline
export function put32(p: usize, value: u32): void {
  store<u32>(p, bswap(value));
}

// An Internet checksum after a 16-bit word that it covers changed (RFC 1624, equation 3).
export function csumUpdate16(sum: u16, before: u16, after: u16): u16 {
  let s: u32 = <u32>(~sum & 0xffff) + <u32>(~before & 0xffff) + <u32>after;
  s = (s >> 16) + (s & 0xffff);
  return <u16>~((s >> 16) + s);
}
export function csumUpdate32(sum: u16, before: u32, after: u32): u16 {
  const high = csumUpdate16(sum, <u16>(before >> 16), <u16>(after >> 16));
  return csumUpdate16(high, <u16>before, <u16>after);
}

// One frame: its descriptor, as it lies in the ring. Never made with `new`.
@unmanaged
export class Packet {
  off: u32;
  len: u32;
  cap: u32;
  verdict: u8;
  pad: u8;
  flags: u16;
  port: u16;
  outPort: u16;
  gsoSize: u16;
  reason: u16;
  mark: u32;
  delayUs: u32;
  tsNs: u64;

  // Address of the first byte.
  @inline get data(): usize {
    return <usize>this.off;
  }
  @inline get isEgress(): bool {
    return (this.flags & F_EGRESS) != 0;
  }
  isBroadcast(): bool {
    return this.len >= 14 && load<u32>(this.data) == 0xffffffff && load<u16>(this.data, 4) == 0xffff;
  }

  // Address of the network header of this ethertype, behind up to two VLAN tags; 0 where it is another.
  network(wanted: u16): usize {
    const p = this.data;
    if (this.flags & F_L3) return p;
    let at: u32 = 12;
    for (let tags = 0; at + 2 <= this.len; tags++, at += 4) {
      const type = be16(p + at);
      if (tags == 2 || (type != ETH_VLAN && type != ETH_QINQ)) return type == wanted ? p + at + 2 : 0;
    }
    return 0;
  }

  // Address of the IPv4 header; 0 where there is none that is whole.
  ipv4(): usize {
    const p = this.network(ETH_IPV4);
    if (p == 0 || this.after(p) < 20 || load<u8>(p) >> 4 != 4) return 0;
    const header = <u32>(load<u8>(p) & 15) * 4;
    return header >= 20 && header <= this.after(p) ? p : 0;
  }

  // Address of the IPv6 header; 0 where there is none that is whole.
  ipv6(): usize {
    const p = this.network(ETH_IPV6);
    return p != 0 && this.after(p) >= 40 && load<u8>(p) >> 4 == 6 ? p : 0;
  }

  // Address of the UDP header of the packet whose IP header that is; 0 where there is none.
  udp(ip: usize): usize {
    return this.segment(ip, 17, 8);
  }

  // Address of the TCP header of the packet whose IP header that is; 0 where there is none.
  tcp(ip: usize): usize {
    return this.segment(ip, 6, 20);
  }

  // Drops with a reason code of the manifest.
  @inline drop(reason: u16): u8 {
    this.reason = reason;
    return DROP;
  }

  // Sends the frame out of another port, or with FLOOD out of all but its own.
  @inline redirect(port: u16): u8 {
    this.outPort = port;
    return REDIRECT;
  }

  // Asks the host to recompute the IPv4, TCP, UDP, ICMP and ICMPv6 sums.
  @inline csumDirty(): void {
    this.flags |= F_CSUM_DIRTY;
  }

  // Bytes from this address to the frame's end.
  @inline private after(p: usize): u32 {
    return this.len - <u32>(p - this.data);
  }

  private segment(ip: usize, protocol: u8, least: u32): usize {
    let at: usize = ip + 40;
    if (load<u8>(ip) >> 4 == 4) {
      // Only the first fragment has the ports.
      if (load<u8>(ip, 9) != protocol || (be16(ip + 6) & 0x1fff) != 0) return 0;
      at = ip + <usize>(load<u8>(ip) & 15) * 4;
    } else if (load<u8>(ip, 6) != protocol) {
      return 0;
    }
    return at + least <= this.data + this.len ? at : 0;
  }
}
