// Package vnet is the SDK for vnet plugins in Go, 1.24 or later. `vnet plugin build` runs
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o my.wasm .
//
// A plugin names its functions in init, and has an empty main:
//
//	func init() { vnet.OnPacket(func(pkt *vnet.Packet) vnet.Verdict { return vnet.Pass }, vnet.Pure) }
//	func main() {}
//
// The manifest is JSON beside the source, in NAME.json. A module has 1.9 MB: it is loaded with a module cap of 4 MiB.
// The garbage collector runs inside a call, which may take 5 ms: keep what lives long small, best in a Map.
package vnet

import (
	"encoding/binary"
	"unsafe"
)

// Verdict says what becomes of a frame.
type Verdict uint8

// Verdicts; Drop, Redirect and their data are also set by [Packet.Drop] and [Packet.Redirect].
const (
	Pass Verdict = iota
	Drop
	Redirect
	Tx
)

// Flood is the out port that means every port but the arrival one.
const Flood = 0xffff

// Flags of [OnPacket]: accepts partial checksums; the verdict depends on the bytes alone, and nothing is rewritten.
const (
	Csum uint32 = 2
	Pure uint32 = 4
)

// Ethertypes.
const (
	EtherIPv4 = 0x0800
	EtherARP  = 0x0806
	EtherVLAN = 0x8100
	EtherIPv6 = 0x86dd
	EtherQinQ = 0x88a8
)

const (
	ringLen = 128
	slotLen = 2112

	flagPartial = 1
	flagEgress  = 4
	flagL3      = 16
	flagDirty   = 256
	flagDelay   = 512
)

// Packet is one frame, by its descriptor in the ring: 40 bytes.
type Packet struct {
	off, len, cap                  uint32
	verdict, _                     uint8
	flags                          uint16
	port, outPort, gsoSize, reason uint16
	// Mark is carried along the chain.
	Mark    uint32
	delayUs uint32
	tsNs    uint64
}

type info struct {
	magic                                           [4]uint8
	major, minor                                    uint16
	descSize, ringLen, ring, arena, arenaLen, flags uint32
}

var (
	ring      [ringLen + 1]Packet
	arena     [ringLen*slotLen + 64]byte
	about     info
	given     uint32
	next      *Packet
	judge     = func(*Packet) Verdict { return Pass }
	configure = func() error { return nil }
	onTimer   = func(int32, uint64) {}
	mapTable  [1 + 64]uint32
	kept      []*header
)

// OnPacket names the function that judges frames. Call it in init.
func OnPacket(function func(*Packet) Verdict, flags uint32) { judge, given = function, flags }

// OnConfigure names the function that reads the configuration, once, before the first frame; an error refuses it.
func OnConfigure(function func() error) { configure = function }

// OnTimer names the function that is called when a timer comes.
func OnTimer(function func(id int32, nowNs uint64)) { onTimer = function }

//go:wasmexport vnet_info
func vnetInfo() uint32 {
	at := (address(unsafe.Pointer(&arena)) + 63) &^ 63
	about = info{[4]uint8{'V', 'N', 'E', 'T'}, 1, 0, 40, ringLen, address(unsafe.Pointer(&ring)), at, ringLen * slotLen, given}
	return address(unsafe.Pointer(&about))
}

//go:wasmexport vnet_on_batch
func vnetOnBatch(_ uint32, n int32) int32 {
	next = &ring[n]
	first := next
	for i := range ring[:n] {
		pkt := &ring[i]
		pkt.verdict = uint8(judge(pkt))
	}
	return int32((address(unsafe.Pointer(next)) - address(unsafe.Pointer(first))) / 40)
}

//go:wasmexport vnet_configure
func vnetConfigure(_, _ uint32) int32 {
	if err := configure(); err != nil {
		Log(Error, err.Error())
		return 1
	}
	return 0
}

//go:wasmexport vnet_on_timer
func vnetOnTimer(id int32, nowNs int64) { onTimer(id, uint64(nowNs)) }

//go:wasmexport vnet_maps
func vnetMaps() uint32 { return address(unsafe.Pointer(&mapTable)) }

func address(p unsafe.Pointer) uint32 { return uint32(uintptr(p)) }

// The host's functions; only those that a plugin uses are imported.

//go:wasmimport vnet log
func hostLog(level int32, text unsafe.Pointer, len uint32)

//go:wasmimport vnet counter
func hostCounter(name unsafe.Pointer, len uint32) int32

//go:wasmimport vnet count
func hostCount(id int32, n int64)

//go:wasmimport vnet config_int
func hostConfigInt(key unsafe.Pointer, len uint32, otherwise int64) int64

//go:wasmimport vnet config_str
func hostConfigStr(key unsafe.Pointer, len uint32, buf unsafe.Pointer, cap uint32) int32

//go:wasmimport vnet random
func hostRandom() int64

//go:wasmimport vnet inject
func hostInject(port int32, frame unsafe.Pointer, len uint32) int32

//go:wasmimport vnet timer
func hostTimer(id int32, afterNs int64)

// Levels of [Log].
const (
	Error int32 = iota
	Warn
	Info
	Debug
)

// Log writes a line to the plugin's log.
func Log(level int32, text string) {
	hostLog(level, unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

// Counter is one that the host shows by its name.
type Counter int32

// NewCounter makes a counter. Call it while configuring.
func NewCounter(name string) Counter {
	return Counter(hostCounter(unsafe.Pointer(unsafe.StringData(name)), uint32(len(name))))
}

// Add counts.
func (c Counter) Add(n int64) { hostCount(int32(c), n) }

// ConfigInt returns the configured integer, or otherwise.
func ConfigInt(key string, otherwise int64) int64 {
	return hostConfigInt(unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)), otherwise)
}

// ConfigStr returns the configured text of at most 1,024 bytes; false where the key is absent.
func ConfigStr(key string) (string, bool) {
	var buf [1024]byte
	n := hostConfigStr(unsafe.Pointer(unsafe.StringData(key)), uint32(len(key)), unsafe.Pointer(&buf), uint32(len(buf)))
	if n < 0 {
		return "", false
	}
	return string(buf[:min(int(n), len(buf))]), true
}

// Random returns a random number; the manifest asks for the capability random.
func Random() uint64 { return uint64(hostRandom()) }

// Inject sends a frame of the plugin's own; the manifest asks for inject. False where the host does not take it.
func Inject(port int32, frame []byte) bool {
	return hostInject(port, unsafe.Pointer(unsafe.SliceData(frame)), uint32(len(frame))) == 0
}

// Timer has [OnTimer]'s function called once, so many nanoseconds later; negative takes it back. The manifest asks for timer.
func Timer(id int32, afterNs int64) { hostTimer(id, afterNs) }

// Bytes returns the frame; writes to it change the frame.
func (p *Packet) Bytes() []byte {
	// A guest's pointers are 32-bit addresses; the arena never moves.
	return unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(&arena), p.off-address(unsafe.Pointer(&arena)))), p.len)
}

// Len returns the frame's length.
func (p *Packet) Len() int { return int(p.len) }

// Port returns the arrival port.
func (p *Packet) Port() uint16 { return p.port }

// Now returns the time on the lab's clock in nanoseconds.
func (p *Packet) Now() uint64 { return p.tsNs }

// IsEgress says whether the frame is about to leave the engine.
func (p *Packet) IsEgress() bool { return p.flags&flagEgress != 0 }

// IsBroadcast says whether it goes to everybody.
func (p *Packet) IsBroadcast() bool {
	b := p.Bytes()
	return len(b) >= 14 && b[0]&b[1]&b[2]&b[3]&b[4]&b[5] == 0xff
}

// Drop drops the frame with a reason code of the manifest.
func (p *Packet) Drop(reason uint16) Verdict {
	p.reason = reason
	return Drop
}

// Redirect sends the frame out of another port, or with [Flood] out of all but its own.
func (p *Packet) Redirect(port uint16) Verdict {
	p.outPort = port
	return Redirect
}

// Delay holds the frame for so many microseconds.
func (p *Packet) Delay(us uint32) { p.flags, p.delayUs = p.flags|flagDelay, us }

// CsumDirty asks the host to recompute the IPv4, TCP, UDP, ICMP and ICMPv6 sums.
func (p *Packet) CsumDirty() { p.flags |= flagDirty }

// SetLen shortens or lengthens the frame at its end; false where the slot ends first.
func (p *Packet) SetLen(n int) bool {
	if n < 0 || uint32(n) > slotLen-128 {
		return false
	}
	before := p.len
	p.len = uint32(n)
	if p.len > before {
		clear(p.Bytes()[before:])
	}
	return true
}

// Append adds a frame that is sent after those of the batch, with verdict Redirect (to port), Tx or Pass; false where it does not fit.
func Append(frame []byte, verdict Verdict, port uint16) bool {
	if next == nil || next == &ring[ringLen] || len(frame) == 0 || len(frame) > slotLen-128 {
		return false
	}
	next.len = uint32(len(frame))
	copy(next.Bytes(), frame)
	next.verdict, next.outPort = uint8(verdict), port
	next = (*Packet)(unsafe.Add(unsafe.Pointer(next), 40))
	return true
}

// network returns what starts with the network header of this ethertype, behind up to two VLAN tags.
func (p *Packet) network(wanted uint16) []byte {
	b := p.Bytes()
	if p.flags&flagL3 != 0 {
		return b
	}
	for at, tags := 12, 0; at+2 <= len(b); at, tags = at+4, tags+1 {
		kind := binary.BigEndian.Uint16(b[at:])
		if tags == 2 || kind != EtherVLAN && kind != EtherQinQ {
			if kind == wanted {
				return b[at+2:]
			}
			break
		}
	}
	return nil
}

// Ip is the header of either version and what follows it.
type Ip struct {
	pkt *Packet
	// Header starts at the header and ends where the frame does.
	Header    []byte
	headerLen int
	// Protocol is 0 in a later fragment: the ports are in the first.
	Protocol uint8
}

// IPv4 returns the IPv4 header; false where there is none that is whole.
func (p *Packet) IPv4() (Ip, bool) {
	b := p.network(EtherIPv4)
	if len(b) < 20 || b[0]>>4 != 4 {
		return Ip{}, false
	}
	n := int(b[0]&15) * 4
	if n < 20 || n > len(b) {
		return Ip{}, false
	}
	ip := Ip{p, b, n, b[9]}
	if binary.BigEndian.Uint16(b[6:])&0x1fff != 0 {
		ip.Protocol = 0
	}
	return ip, true
}

// IPv6 returns the IPv6 header; false where there is none that is whole.
func (p *Packet) IPv6() (Ip, bool) {
	b := p.network(EtherIPv6)
	if len(b) < 40 || b[0]>>4 != 6 {
		return Ip{}, false
	}
	return Ip{p, b, 40, b[6]}, true
}

func (ip Ip) addresses() (at, size int) {
	if ip.Header[0]>>4 == 4 {
		return 12, 4
	}
	return 8, 16
}

// Src returns the sender's address, 4 or 16 bytes of the frame.
func (ip Ip) Src() []byte { at, n := ip.addresses(); return ip.Header[at : at+n] }

// Dst returns the receiver's address.
func (ip Ip) Dst() []byte { at, n := ip.addresses(); return ip.Header[at+n : at+2*n] }

// TTL returns the time to live, or the hop limit.
func (ip Ip) TTL() uint8 {
	if ip.Header[0]>>4 == 4 {
		return ip.Header[8]
	}
	return ip.Header[7]
}

// SetTTL writes it and keeps IPv4's sum right (RFC 1624).
func (ip Ip) SetTTL(ttl uint8) {
	b := ip.Header
	if b[0]>>4 == 6 {
		b[7] = ttl
		return
	}
	before := binary.BigEndian.Uint16(b[8:])
	b[8] = ttl
	update(b[10:], before, binary.BigEndian.Uint16(b[8:]))
}

// SetSrc writes the sender's address and keeps the sums right (RFC 1624).
func (ip Ip) SetSrc(address []byte) { ip.readdress(ip.Src(), address) }

// SetDst writes the receiver's address and keeps the sums right.
func (ip Ip) SetDst(address []byte) { ip.readdress(ip.Dst(), address) }

func (ip Ip) readdress(old, fresh []byte) {
	_ = fresh[len(old)-1]
	sum := ip.sum()
	for i := 0; i < len(old); i += 2 {
		before, after := binary.BigEndian.Uint16(old[i:]), binary.BigEndian.Uint16(fresh[i:])
		if len(old) == 4 {
			update(ip.Header[10:], before, after)
		}
		ip.updateL4(sum, before, after)
	}
	copy(old, fresh)
}

// sum returns the place of the segment's checksum, which covers the addresses; nil where there is none.
func (ip Ip) sum() []byte {
	at := 0
	switch ip.Protocol {
	case 6:
		at = 16
	case 17:
		at = 6
	case 58:
		at = 2
	default:
		return nil
	}
	seg := ip.Header[ip.headerLen:]
	if len(seg) < at+2 || ip.Protocol == 17 && seg[6]|seg[7] == 0 {
		return nil
	}
	return seg[at : at+2]
}

func (ip Ip) updateL4(sum []byte, before, after uint16) {
	switch {
	case sum == nil:
	case ip.pkt.flags&flagPartial != 0:
		// It holds the pseudo-header's sum alone, and that not inverted.
		old := binary.BigEndian.Uint16(sum)
		binary.BigEndian.PutUint16(sum, ^ChecksumUpdate(^old, before, after))
	default:
		update(sum, before, after)
		if ip.Protocol == 17 && sum[0]|sum[1] == 0 {
			sum[0], sum[1] = 0xff, 0xff
		}
	}
}

// ChecksumUpdate returns an Internet checksum after a 16-bit word that it covers changed (RFC 1624, equation 3).
func ChecksumUpdate(sum, before, after uint16) uint16 {
	s := uint32(^sum) + uint32(^before) + uint32(after)
	s = s>>16 + s&0xffff
	return ^uint16(s>>16 + s)
}

func update(sum []byte, before, after uint16) {
	binary.BigEndian.PutUint16(sum, ChecksumUpdate(binary.BigEndian.Uint16(sum), before, after))
}

// Udp is a UDP header and what follows it.
type Udp struct {
	ip     Ip
	Header []byte
}

// UDP returns the UDP header; false where there is none.
func (ip Ip) UDP() (Udp, bool) {
	seg := ip.Header[ip.headerLen:]
	return Udp{ip, seg}, ip.Protocol == 17 && len(seg) >= 8
}

// Src returns the sender's port.
func (u Udp) Src() uint16 { return binary.BigEndian.Uint16(u.Header) }

// Dst returns the receiver's port.
func (u Udp) Dst() uint16 { return binary.BigEndian.Uint16(u.Header[2:]) }

// SetDst writes the receiver's port and keeps the sum right.
func (u Udp) SetDst(port uint16) { u.ip.setPort(u.Header[2:4], port) }

// SetSrc writes the sender's port and keeps the sum right.
func (u Udp) SetSrc(port uint16) { u.ip.setPort(u.Header[0:2], port) }

// Payload returns the datagram.
func (u Udp) Payload() []byte { return u.Header[8:] }

// Tcp is a TCP header and what follows it.
type Tcp struct {
	ip     Ip
	Header []byte
}

// TCP returns the TCP header; false where there is none.
func (ip Ip) TCP() (Tcp, bool) {
	seg := ip.Header[ip.headerLen:]
	return Tcp{ip, seg}, ip.Protocol == 6 && len(seg) >= 20
}

// Src returns the sender's port.
func (t Tcp) Src() uint16 { return binary.BigEndian.Uint16(t.Header) }

// Dst returns the receiver's port.
func (t Tcp) Dst() uint16 { return binary.BigEndian.Uint16(t.Header[2:]) }

// SetDst writes the receiver's port and keeps the sum right.
func (t Tcp) SetDst(port uint16) { t.ip.setPort(t.Header[2:4], port) }

// SetSrc writes the sender's port and keeps the sum right.
func (t Tcp) SetSrc(port uint16) { t.ip.setPort(t.Header[0:2], port) }

// Flags returns the byte with SYN (2), ACK (16) and the rest.
func (t Tcp) Flags() uint8 { return t.Header[13] }

// setPort writes a port; a partial sum does not cover it.
func (ip Ip) setPort(place []byte, port uint16) {
	before := binary.BigEndian.Uint16(place)
	binary.BigEndian.PutUint16(place, port)
	if ip.pkt.flags&flagPartial == 0 {
		ip.updateL4(ip.sum(), before, port)
	}
}

type header struct {
	magic                               [4]uint8
	keySize, valueSize, capacity, count uint32
	namePtr, nameLen, flags, slotsPtr   uint32
}

// Map is a table of fixed keys and values that the host sees by its name, and carries over to a fresh instance.
type Map struct {
	*header
	slots                   []uint64
	stride                  int
	keyWords, keySz, valueSz int
}

// NewMap makes a table with room for capacity slots, a power of two; keep it half empty. Call it once, while the program starts.
func NewMap(name string, keySize, valueSize, capacity int) Map {
	if capacity <= 0 || capacity&(capacity-1) != 0 || len(kept) == len(mapTable)-1 {
		panic("vnet.NewMap: the capacity is a power of two, and 64 maps are the most")
	}
	key, value := (keySize+7)/8, (valueSize+7)/8
	m := Map{&header{magic: [4]uint8{'V', 'M', 'A', 'P'}}, make([]uint64, capacity*(1+key+value)), 1 + key + value, key, keySize, valueSize}
	// The collector moves nothing, and what is kept here is never freed.
	text := append([]byte(nil), name...)
	texts, tables = append(texts, text), append(tables, m.slots)
	m.keySize, m.valueSize, m.capacity = uint32(keySize), uint32(valueSize), uint32(capacity)
	m.namePtr, m.nameLen = address(unsafe.Pointer(unsafe.SliceData(text))), uint32(len(text))
	m.slotsPtr = address(unsafe.Pointer(unsafe.SliceData(m.slots)))
	kept = append(kept, m.header)
	mapTable[len(kept)] = address(unsafe.Pointer(m.header))
	mapTable[0] = uint32(len(kept))
	return m
}

var (
	texts  [][]byte
	tables [][]uint64
)

const (
	empty = iota
	used
	deleted
)

// find returns the slot of a key, or the one it would take; -1 where the table is full.
func (m Map) find(key []byte) (at int, found bool, hash uint32) {
	_ = key[m.keySz-1]
	hash = 2166136261
	for _, b := range key[:m.keySz] {
		hash = (hash ^ uint32(b)) * 16777619
	}
	free, mask := -1, int(m.capacity)-1
	for i := 0; i <= mask; i++ {
		slot := (int(hash)&mask + i) & mask * m.stride
		state := uint32(m.slots[slot])
		if state == used && uint32(m.slots[slot]>>32) == hash && string(m.bytes(slot+1, m.keySz)) == string(key[:m.keySz]) {
			return slot, true, hash
		}
		if state != used && free < 0 {
			free = slot
		}
		if state == empty {
			break
		}
	}
	return free, false, hash
}

func (m Map) bytes(word, n int) []byte {
	return unsafe.Slice((*byte)(unsafe.Pointer(&m.slots[word])), n)
}

// Get returns a key's value, which may be written in place; nil where there is none.
func (m Map) Get(key []byte) []byte {
	at, found, _ := m.find(key)
	if !found {
		return nil
	}
	return m.bytes(at+1+m.keyWords, m.valueSz)
}

// Put writes a key's value; false where the table is full.
func (m Map) Put(key, value []byte) bool {
	at, found, hash := m.find(key)
	if at < 0 {
		return false
	}
	if !found {
		m.slots[at] = uint64(hash)<<32 | used
		clear(m.slots[at+1 : at+1+m.keyWords])
		copy(m.bytes(at+1, m.keySz), key)
		m.count++
	}
	copy(m.bytes(at+1+m.keyWords, m.valueSz), value)
	return true
}

// Delete takes a key out; false where there was none.
func (m Map) Delete(key []byte) bool {
	at, found, hash := m.find(key)
	if found {
		m.slots[at] = uint64(hash)<<32 | deleted
		m.count--
	}
	return found
}

// Clear empties the table.
func (m Map) Clear() {
	clear(m.slots)
	m.count = 0
}
