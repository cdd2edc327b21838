use std::io;

use thiserror::Error;

/// What can go wrong when the engine is asked for something.
///
/// No frame ever causes one of these: a frame that cannot be carried is a named drop in the counters.
#[derive(Debug, Error)]
pub enum EngineError {
    /// The device behind a port was deleted while the engine held it.
    #[error("device {port} is gone: it was deleted while vnet held it")]
    Gone {
        /// Name of the port.
        port: String,
    },
    /// The pipeline's worker has ended, so nothing can be asked of it any more.
    #[error("the pipeline of {port} has ended")]
    Ended {
        /// Name of the first port.
        port: String,
    },
    /// The two ends of a wire carry different layers.
    #[error(
        "cannot join {a} and {b}: one carries Ethernet frames, the other bare IP packets; join two of a kind"
    )]
    LayersDiffer {
        /// Name of the first port.
        a: String,
        /// Name of the second port.
        b: String,
    },
    /// A port that does not carry Ethernet frames was given to a switch.
    #[error(
        "cannot make {port} a port of a switch: it carries bare IP packets; a switch takes Ethernet ports"
    )]
    NotEthernet {
        /// Name of the port.
        port: String,
    },
    /// A switch has all the ports it can have.
    #[error("cannot add {port} to switch {switch}: it has {most} ports already")]
    TooManyPorts {
        /// Name of the switch.
        switch: String,
        /// Name of the port.
        port: String,
        /// The most a switch has.
        most: usize,
    },
    /// Something that only a switch does was asked of a pipeline that is none.
    #[error("{port} is no switch")]
    NotASwitch {
        /// Name of the pipeline.
        port: String,
    },
    /// A frame given to `send` cannot be sent on that port.
    #[error("cannot send {len} bytes on {port}: {why}")]
    BadFrame {
        /// Name of the port.
        port: String,
        /// Length of the frame in bytes.
        len: usize,
        /// What is wrong with it, and what fits.
        why: String,
    },
    /// The queue towards the worker stayed full for the whole time allowed.
    #[error("cannot send on {port}: its queue stayed full for {waited_ms} ms")]
    QueueFull {
        /// Name of the port.
        port: String,
        /// How long the call waited, in milliseconds.
        waited_ms: u64,
    },
    /// A stage was named that this pipeline does not have (any more).
    #[error("the plugin is not attached to {port} (any more)")]
    NoSuchStage {
        /// Name of the first port.
        port: String,
    },
    /// A plugin failed, or does not take over from the one whose place it was to take.
    #[error(transparent)]
    Plugin(#[from] vnet_runtime::PluginError),
    /// A place was named that this pipeline does not have.
    #[error("{port} has no such place to attach to: {place}")]
    NoSuchPlace {
        /// Name of the first port.
        port: String,
        /// The place asked for.
        place: String,
    },
    /// A frame does not fit the plugin's buffers.
    #[error(
        "plugin {plugin} takes frames of at most {max} bytes, but {port} carries {need} (MTU and headers); lower the MTU or give the plugin larger buffers"
    )]
    PluginTooSmall {
        /// Name of the plugin.
        plugin: String,
        /// Name of the port.
        port: String,
        /// Largest frame the plugin takes, in bytes.
        max: u32,
        /// Largest frame of the port, in bytes.
        need: u32,
    },
    /// A capture file could not be read or written.
    #[error("capture file {path}: {why}")]
    Capture {
        /// The file.
        path: String,
        /// What is wrong, in words.
        why: String,
    },
    /// The kernel refused something.
    #[error("{what} on {port}: {source}")]
    Os {
        /// What was tried.
        what: &'static str,
        /// Name of the port.
        port: String,
        /// The kernel's answer.
        source: io::Error,
    },
}
