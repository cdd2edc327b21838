// Drops UDP datagrams over IPv4 to one port. The manifest is in @NAME@.json.
package main

import "@NAME@/vnet"

const closedPort = 1

var (
	port   uint16
	closed vnet.Counter
)

func init() {
	vnet.OnConfigure(configure)
	vnet.OnPacket(onPacket, vnet.Csum)
}

func configure() error {
	port = uint16(vnet.ConfigInt("port", 9))
	closed = vnet.NewCounter("closed")
	return nil
}

func onPacket(pkt *vnet.Packet) vnet.Verdict {
	ip, ok := pkt.IPv4()
	if !ok {
		return vnet.Pass
	}
	udp, ok := ip.UDP()
	if !ok || udp.Dst() != port {
		return vnet.Pass
	}
	closed.Add(1)
	return pkt.Drop(closedPort)
}

func main() {}
