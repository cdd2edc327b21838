use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};

/// Bytes that wait for their way out.
const ROOM: usize = 64 << 10;

/// Pieces carried before other connections get their turn.
const TURNS: usize = 8;

/// One direction of a connection.
#[derive(Default)]
pub(super) struct Pipe {
    buffer: Vec<u8>,
    waiting: std::ops::Range<usize>,
    /// The sender has ended its direction.
    ended: bool,
    /// The receiver has been told so.
    told: bool,
    pub carried: u64,
}

impl Pipe {
    /// Whether something is to be read.
    pub(super) fn wants(&self) -> bool {
        !self.ended && self.waiting.is_empty()
    }

    /// Whether something is to be written.
    pub(super) fn has(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(super) fn is_done(&self) -> bool {
        self.told
    }

    /// Carries what there is, as far as both ends take it without waiting.
    pub(super) fn carry(&mut self, mut from: &TcpStream, mut to: &TcpStream) -> std::io::Result<()> {
        for _ in 0..TURNS {
            if self.wants() {
                self.buffer.resize(ROOM, 0);
                match from.read(&mut self.buffer) {
                    Ok(0) => self.ended = true,
                    Ok(read) => self.waiting = 0..read,
                    Err(error) if is_pause(&error) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            while self.has() {
                match to.write(&self.buffer[self.waiting.clone()]) {
                    Ok(written) => {
                        self.waiting.start += written;
                        self.carried += written as u64;
                    }
                    Err(error) if is_pause(&error) => return Ok(()),
                    Err(error) => return Err(error),
                }
            }
            if self.ended {
                if !self.told {
                    self.told = true;
                    self.buffer = Vec::new();
                    match to.shutdown(Shutdown::Write) {
                        // The receiver is gone altogether.
                        Err(error) if error.kind() == ErrorKind::NotConnected => {}
                        done => return done,
                    }
                }
                return Ok(());
            }
        }
        Ok(())
    }
}

fn is_pause(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted)
}
