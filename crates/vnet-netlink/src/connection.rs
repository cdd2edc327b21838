use std::io;
use std::sync::{Mutex, PoisonError};

use futures::StreamExt;
use rtnetlink::packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use rtnetlink::packet_route::RouteNetlinkMessage;
use rtnetlink::sys::AsyncSocket;
use tokio::runtime::{Builder, Runtime};
use vnet_sys::NetNs;

use crate::{NetlinkError, extack};

/// A netlink socket in one network namespace.
///
/// Its calls block, from several threads too; one at a time runs. They must not be made
/// from within an asynchronous runtime.
pub struct Netlink {
    pub(crate) runtime: Runtime,
    handle: rtnetlink::Handle,
    /// Held from a request to its last answer: the kernel refuses a second listing on a
    /// socket while one runs (EBUSY).
    turn: Mutex<()>,
    pub(crate) ns: NetNs,
}

impl std::fmt::Debug for Netlink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Netlink")
            .field("ns", &self.ns)
            .finish_non_exhaustive()
    }
}

impl Netlink {
    /// Opens a socket in the namespace given, or in the calling thread's.
    ///
    /// # Errors
    /// [`NetlinkError::Sys`] when the namespace may not be entered,
    /// [`NetlinkError::Socket`] when the kernel gives no socket.
    pub fn open(ns: Option<&NetNs>) -> Result<Self, NetlinkError> {
        let ns = match ns {
            Some(ns) => ns.clone(),
            None => NetNs::current()?,
        };
        let what = "cannot open a netlink socket";
        let runtime = Builder::new_current_thread()
            .enable_io()
            .enable_time()
            .build()
            .map_err(|e| NetlinkError::socket(what, e))?;
        let handle = {
            let _context = runtime.enter();
            let inside = runtime.handle().clone();
            ns.run(move || {
                let _context = inside.enter();
                let (mut connection, handle, _) = rtnetlink::new_connection()?;
                let socket = connection.socket_mut().socket_mut();
                socket.set_ext_ack(true)?;
                socket.set_cap_ack(true)?;
                inside.spawn(connection);
                io::Result::Ok(handle)
            })?
            .map_err(|e| NetlinkError::socket(what, e))?
        };
        Ok(Self {
            runtime,
            handle,
            turn: Mutex::new(()),
            ns,
        })
    }

    /// Returns the namespace this socket is in.
    #[must_use]
    pub fn namespace(&self) -> &NetNs {
        &self.ns
    }

    /// Makes one request and waits for its acknowledgement. `what` says what is
    /// attempted and on which interface.
    pub(crate) fn change(
        &self,
        what: impl Fn() -> String,
        message: RouteNetlinkMessage,
        flags: u16,
    ) -> Result<(), NetlinkError> {
        self.request(&what, message, NLM_F_ACK | flags, |_| {})
    }

    /// Makes one request and hands every answer to `each`.
    pub(crate) fn query(
        &self,
        what: impl Fn() -> String,
        message: RouteNetlinkMessage,
        each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        self.request(&what, message, 0, each)
    }

    /// Asks for all objects of a kind and hands each to `each`.
    pub(crate) fn dump(
        &self,
        what: impl Fn() -> String,
        message: RouteNetlinkMessage,
        each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        self.request(&what, message, NLM_F_DUMP, each)
    }

    fn request(
        &self,
        what: &impl Fn() -> String,
        message: RouteNetlinkMessage,
        flags: u16,
        mut each: impl FnMut(RouteNetlinkMessage),
    ) -> Result<(), NetlinkError> {
        let mut request = NetlinkMessage::from(message);
        request.header.flags = NLM_F_REQUEST | flags;
        let mut handle = self.handle.clone();
        let turn = self.turn.lock().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.runtime.block_on(async {
            let Ok(mut answers) = handle.request(request) else {
                return Err(Failure::Gone);
            };
            while let Some(answer) = answers.next().await {
                let flags = answer.header.flags;
                match answer.payload {
                    NetlinkPayload::InnerMessage(inner) => each(inner),
                    // Code 0 is the acknowledgement.
                    NetlinkPayload::Error(error) if error.code.is_some() => {
                        let kernel = extack::message(flags, &error.header);
                        return Err(Failure::Refused(error.raw_code().abs(), kernel));
                    }
                    NetlinkPayload::Overrun(_) => return Err(Failure::Gone),
                    _ => {}
                }
            }
            Ok(())
        });
        drop(turn);
        // Outside of the runtime and the turn: `what` may ask the kernel for a name.
        outcome.map_err(|failure| match failure {
            Failure::Gone => NetlinkError::socket(&what(), io::ErrorKind::BrokenPipe.into()),
            Failure::Refused(errno, kernel) => NetlinkError::refused(what(), errno, kernel),
        })
    }
}

enum Failure {
    /// The socket lost messages or is closed.
    Gone,
    /// The kernel's errno and sentence.
    Refused(i32, Option<String>),
}
