//! Panics: logged, then a trap.

/// Lets the standard library's panics tell the log what happened before they trap.
#[cfg(all(target_arch = "wasm32", feature = "std"))]
pub(crate) fn log_panics() {
    std::panic::set_hook(std::boxed::Box::new(|info| {
        crate::log::write(crate::Level::Error, format_args!("{info}"));
    }));
}

#[cfg(all(
    target_arch = "wasm32",
    not(feature = "std"),
    any(feature = "panic-handler", feature = "panic-trap")
))]
#[panic_handler]
fn panic(info: &core::panic::PanicInfo<'_>) -> ! {
    #[cfg(feature = "panic-handler")]
    crate::log::write(crate::Level::Error, format_args!("{info}"));
    let _ = info;
    core::arch::wasm32::unreachable()
}
