//! The native module of the vnet Python package: it converts between Python and crate `vnet`, and does nothing else.
//!
//! Private: users import `vnet`. `python/vnet/_vnet.pyi` is its interface; `mypy.stubtest` holds one to the other. Every call
//! that may wait lets other Python threads run ([`pyo3::Python::detach`]), and looks for signals at least every 50 ms.
#![expect(
    clippy::needless_pass_by_value,
    reason = "what Python hands over is extracted, so it is owned"
)]

mod arrow;
mod attachment;
mod callout;
mod capture;
mod cli;
mod command;
mod convert;
mod device;
mod error;
mod events;
mod frame;
mod interrupt;
mod make;
mod maps;
mod network;
mod node;
mod packets;
mod process;
mod reports;
mod series;
mod swap;
mod wire;

use pyo3::prelude::*;

#[pymodule]
mod _vnet {
    #[pymodule_export]
    use super::attachment::{Attachment, Recording};
    #[pymodule_export]
    use super::callout::{Callout, callout};
    #[pymodule_export]
    use super::capture::CaptureOptions;
    #[pymodule_export]
    use super::cli::cli_main;
    #[pymodule_export]
    use super::command::{Running, set_helper_path, spawn};
    #[pymodule_export]
    use super::convert::Plugin;
    #[pymodule_export]
    use super::device::Device;
    #[pymodule_export]
    use super::events::{after_fork, before_fork, forked, keep_events, take_events};
    #[pymodule_export]
    use super::frame::Frame;
    #[pymodule_export]
    use super::make::{make_bridge, make_tap, make_veth, open_device};
    #[pymodule_export]
    use super::maps::Maps;
    #[pymodule_export]
    use super::network::{Link, Network};
    #[pymodule_export]
    use super::node::{Forward, Node, Place};
    #[pymodule_export]
    use super::packets::{Packets, Recent, check_filter};
    #[pymodule_export]
    use super::process::Process;
    #[pymodule_export]
    use super::reports::{
        apparmor_profile, close_sandbox, doctor, next_logs, remove_stale, replay, sandbox_announcement,
        seccomp_profile, shipped,
    };
    #[pymodule_export]
    use super::series::{Rows, Series};
    #[pymodule_export]
    use super::swap::{Watch, next_events, swap_all};
    #[pymodule_export]
    use super::wire::Wire;
    use super::*;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", ::vnet::VERSION)
    }
}
