//! Values of the Ethernet type field (IEEE 802 numbers, IANA).

/// Internet Protocol version 4.
pub const IPV4: u16 = 0x0800;
/// Address Resolution Protocol.
pub const ARP: u16 = 0x0806;
/// IEEE 802.1Q tag.
pub const VLAN: u16 = 0x8100;
/// Internet Protocol version 6.
pub const IPV6: u16 = 0x86dd;
/// IEEE 802.1ad service tag, the outer one of two.
pub const QINQ: u16 = 0x88a8;
/// Link Layer Discovery Protocol.
pub const LLDP: u16 = 0x88cc;

/// The least value that is a type; less is the length of an IEEE 802.3 frame.
pub const MIN: u16 = 0x0600;

/// Says whether four bytes of VLAN tag follow a type field with this value.
#[must_use]
pub const fn is_vlan(value: u16) -> bool {
    matches!(value, VLAN | QINQ)
}
