// Drops UDP datagrams over IPv4 to one port. The manifest is in @NAME@.json.
import * as vn from "./vnet_plugin";

export { vnet_info } from "./vnet_plugin";

const CLOSED_PORT: u16 = 1;

let port: u16 = 9;
let closed: i32 = 0;

export function vnet_configure(json: usize, len: i32): i32 {
  port = vn.configInt("port", 9) as u16;
  closed = vn.counter("closed");
  return 0;
}

function onPacket(pkt: vn.Packet): u8 {
  const ip = pkt.ipv4();
  if (ip == 0) return vn.PASS;
  const udp = pkt.udp(ip);
  if (udp == 0 || vn.be16(udp + 2) != port) return vn.PASS;
  vn.count(closed, 1);
  return pkt.drop(CLOSED_PORT);
}

export function vnet_on_batch(desc: usize, n: i32): i32 {
  return vn.each(desc, n, onPacket);
}
