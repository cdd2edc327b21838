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
const F_PARTIAL: u16 = 1;
const F_EGRESS: u16 = 4;
const F_L3: u16 = 16;
const F_CSUM_DIRTY: u16 = 256;
const F_DELAY: u16 = 512;

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

// @ts-ignore: decorator
@external("vnet", "config_str")
declare function host_config_str(key: usize, len: i32, buf: usize, cap: i32): i32;
// What the manifest asks for in "capabilities" and the operator grants: a random number; a call of vnet_on_timer once, so
// many nanoseconds later (negative takes it back).
// @ts-ignore: decorator
@external("vnet", "random")
export declare function random(): u64;
// @ts-ignore: decorator
@external("vnet", "timer")
export declare function timer(id: i32, afterNs: i64): void;
// @ts-ignore: decorator
@external("vnet", "inject")
declare function host_inject(port: i32, frame: usize, len: i32): i32;

// Sends a frame of the plugin's own, `len` bytes at an address; false where the host does not take it.
export function inject(port: i32, frame: usize, len: i32): bool {
  return host_inject(port, frame, len) == 0;
}

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
  next = end;
  for (let d = desc; d < end; d += DESC_SIZE) {
    store<u8>(d, judge(changetype<Packet>(d)), 12);
  }
  return <i32>((next - end) / DESC_SIZE);
}

// The descriptor that the next append() takes.
let next: usize = 0;

// A further frame, sent after those of the batch: write its bytes at `data`, then `len`, `verdict` and `outPort` (REDIRECT, TX,
// or PASS to go on along the chain). null where the ring is full.
export function append(): Packet | null {
  if (next == 0 || next >= ring + RING_LEN * DESC_SIZE) return null;
  const pkt = changetype<Packet>(next);
  next += DESC_SIZE;
  return pkt;
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

// The configured text, cut to 1,024 bytes; null where the key is absent.
export function configStr(key: string): string | null {
  const utf8 = String.UTF8.encode(key);
  const len = host_config_str(changetype<usize>(utf8), utf8.byteLength, text, 1024);
  return len < 0 ? null : String.UTF8.decodeUnsafe(text, min(len, 1024));
}
const text: usize = memory.data(1024);

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

// Which end of a packet.
export const SRC: usize = 0;
export const DST: usize = 1;

// A table of fixed keys and values with `capacity` slots, a power of two; keep it half empty. Keys and values are addresses of
// raw bytes. Make it once, in a global: the host sees it by its name where the plugin exports vnet_maps, too.
export class Table {
  private header: usize;
  private slots: usize;
  private stride: usize;
  private keyBytes: usize;

  constructor(name: string, private keySize: u32, private valueSize: u32, private capacity: u32) {
    assert(capacity > 0 && (capacity & (capacity - 1)) == 0 && tables < TABLES, "a power of two, and at most 16 tables");
    this.keyBytes = (<usize>keySize + 7) & ~7;
    this.stride = 8 + this.keyBytes + ((<usize>valueSize + 7) & ~7);
    const utf8 = String.UTF8.encode(name);
    this.header = heap.alloc(40);
    this.slots = heap.alloc(this.stride * capacity);
    store<u32>(this.header, 0x50414d56); // "VMAP"
    store<u32>(this.header, keySize, 4);
    store<u32>(this.header, valueSize, 8);
    store<u32>(this.header, capacity, 12);
    store<u32>(this.header, <u32>changetype<usize>(utf8), 20);
    store<u32>(this.header, utf8.byteLength, 24);
    store<u32>(this.header, 0, 28);
    store<u32>(this.header, <u32>this.slots, 32);
    this.clear();
    store<u32>(shown + 4 * ++tables, <u32>this.header);
    store<u32>(shown, tables);
  }

  get size(): u32 {
    return load<u32>(this.header, 16);
  }

  // Address of a key's value, to be read and written in place; 0 where there is none.
  get(key: usize): usize {
    const slot = this.find(key);
    return slot != 0 && load<u32>(slot) == 1 ? slot + 8 + this.keyBytes : 0;
  }

  // The same, made of zeros where there is none; 0 where the table is full.
  put(key: usize): usize {
    const slot = this.find(key);
    if (slot == 0) return 0;
    if (load<u32>(slot) != 1) {
      memory.fill(slot + 8, 0, this.stride - 8);
      memory.copy(slot + 8, key, this.keySize);
      store<u32>(slot, 1);
      store<u32>(slot, this.hash(key), 4);
      store<u32>(this.header, this.size + 1, 16);
    }
    return slot + 8 + this.keyBytes;
  }

  // Takes a key out; false where there was none.
  remove(key: usize): bool {
    const slot = this.find(key);
    if (slot == 0 || load<u32>(slot) != 1) return false;
    store<u32>(slot, 2);
    store<u32>(this.header, this.size - 1, 16);
    return true;
  }

  clear(): void {
    memory.fill(this.slots, 0, this.stride * this.capacity);
    store<u32>(this.header, 0, 16);
  }

  private hash(key: usize): u32 {
    let hash: u32 = 2166136261;
    for (let i: u32 = 0; i < this.keySize; i++) hash = (hash ^ load<u8>(key + i)) * 16777619;
    return hash;
  }

  // The slot of a key, or the one it would take; 0 where the table is full.
  private find(key: usize): usize {
    const hash = this.hash(key);
    let free: usize = 0;
    for (let i: u32 = 0; i < this.capacity; i++) {
      const slot = this.slots + <usize>((hash + i) & (this.capacity - 1)) * this.stride;
      const state = load<u32>(slot);
      if (state == 1 && load<u32>(slot, 4) == hash && memory.compare(slot + 8, key, this.keySize) == 0) return slot;
      if (state != 1 && free == 0) free = slot;
      if (state == 0) break;
    }
    return free;
  }
}

const TABLES: u32 = 16;
const shown: usize = memory.data(68, 8); // a number, then the headers' addresses
let tables: u32 = 0;

// Tells the host where the tables lie.
export function vnet_maps(): usize {
  return shown;
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

  // Holds the frame for so many microseconds.
  @inline delay(us: u32): void {
    this.flags |= F_DELAY;
    this.delayUs = us;
  }

  // Where an address of an IP header lies, 4 or 16 bytes: SRC or DST.
  @inline address(ip: usize, end: usize): usize {
    return load<u8>(ip) >> 4 == 4 ? ip + 12 + 4 * end : ip + 8 + 16 * end;
  }

  // These write a field and keep every sum over it right (RFC 1624), partial ones too.

  setTtl(ip: usize, ttl: u8): void {
    if (load<u8>(ip) >> 4 == 6) {
      store<u8>(ip, ttl, 7);
      return;
    }
    const before = be16(ip + 8);
    store<u8>(ip, ttl, 8);
    put16(ip + 10, csumUpdate16(be16(ip + 10), before, be16(ip + 8)));
  }

  setAddress(ip: usize, end: usize, to: usize): void {
    const isV4 = load<u8>(ip) >> 4 == 4;
    const at = this.address(ip, end);
    const sum = this.sumPlace(ip);
    for (let i: usize = 0; i < <usize>(isV4 ? 4 : 16); i += 2) {
      const before = be16(at + i);
      const after = be16(to + i);
      if (isV4) put16(ip + 10, csumUpdate16(be16(ip + 10), before, after));
      this.updateSum(ip, sum, before, after);
      put16(at + i, after);
    }
  }

  setPort(ip: usize, end: usize, to: u16): void {
    let segment = this.udp(ip);
    if (segment == 0) segment = this.tcp(ip);
    if (segment == 0) return;
    const before = be16(segment + 2 * end);
    put16(segment + 2 * end, to);
    // A partial sum does not cover the ports.
    if ((this.flags & F_PARTIAL) == 0) this.updateSum(ip, this.sumPlace(ip), before, to);
  }

  // Where the transport checksum lies, which covers the addresses; 0 where there is none.
  private sumPlace(ip: usize): usize {
    const tcp = this.tcp(ip);
    if (tcp != 0) return tcp + 16;
    const udp = this.udp(ip);
    if (udp != 0) return load<u16>(udp, 6) != 0 ? udp + 6 : 0;
    const icmp6 = load<u8>(ip) >> 4 == 6 ? this.segment(ip, 58, 4) : 0;
    return icmp6 != 0 ? icmp6 + 2 : 0;
  }

  private updateSum(ip: usize, sum: usize, before: u16, after: u16): void {
    if (sum == 0) return;
    if (this.flags & F_PARTIAL) {
      // It holds the pseudo-header's sum alone, and that not inverted.
      put16(sum, <u16>~csumUpdate16(<u16>~be16(sum), before, after));
      return;
    }
    const fresh = csumUpdate16(be16(sum), before, after);
    put16(sum, fresh == 0 && this.udp(ip) != 0 ? 0xffff : fresh);
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
