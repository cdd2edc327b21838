//! What is to become of a frame.

use vnet_abi::{Desc, FLOOD, verdict};

/// What is to become of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// It goes to the next plugin of the chain, after the last to normal forwarding.
    Pass,
    /// It is dropped and counted.
    Drop,
    /// It is dropped and counted under a reason code that the manifest names.
    DropFor(u16),
    /// It leaves the chain at once, through this port; the arrival port is refused.
    Redirect(u16),
    /// It leaves the chain at once, through every port but the arrival one.
    Flood,
    /// It leaves the chain at once, back out of the port it arrived on.
    Tx,
}

impl Verdict {
    #[inline(always)]
    pub(crate) fn write(self, desc: &mut Desc) {
        desc.verdict = match self {
            Verdict::Pass => verdict::PASS,
            Verdict::Drop => verdict::DROP,
            Verdict::DropFor(reason) => {
                desc.reason = reason;
                verdict::DROP
            }
            Verdict::Redirect(port) => {
                desc.out_port = port;
                verdict::REDIRECT
            }
            Verdict::Flood => {
                desc.out_port = FLOOD;
                verdict::REDIRECT
            }
            Verdict::Tx => verdict::TX,
        };
    }
}
