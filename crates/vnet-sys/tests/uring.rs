//! Writes through a ring, and what is left where the kernel refuses one.

#![allow(clippy::unwrap_used)]

use std::io::{Read, pipe};
use std::os::fd::AsFd;

use rustix::io::Errno;
use vnet_sys::uring::{DEPTH, Target, WriteRing};

fn ring() -> Option<WriteRing> {
    WriteRing::new()
        .inspect_err(|error| eprintln!("skipped: {error}"))
        .ok()
}

#[test]
fn a_list_is_written_in_order_and_each_write_answered() {
    let Some(mut ring) = ring() else { return };
    let (mut reader, writer) = pipe().unwrap();
    let mut results = [None; DEPTH];
    for round in 0..100u8 {
        let parts: Vec<[u8; 2]> = (0..DEPTH as u8).map(|i| [round, i]).collect();
        let list = parts.iter().map(|part| (Target::Fd(writer.as_fd()), &part[..]));
        ring.write(list, &mut results).unwrap();
        assert!(results.iter().all(|result| *result == Some(Ok(2))), "{results:?}");
        let mut read = [0; 2 * DEPTH];
        reader.read_exact(&mut read).unwrap();
        assert_eq!(read[..], *parts.as_flattened());
    }
}

#[test]
fn a_refused_write_keeps_its_place_and_the_others_go_on() {
    let Some(mut ring) = ring() else { return };
    let (mut reader, writer) = pipe().unwrap();
    let mut results = [None; DEPTH];
    let list = [
        (Target::Fd(writer.as_fd()), &b"a"[..]),
        (Target::Fd(reader.as_fd()), &b"b"[..]),
        (Target::Fd(writer.as_fd()), &b"c"[..]),
    ];
    ring.write(list.into_iter(), &mut results).unwrap();
    assert_eq!(
        results[..4],
        [Some(Ok(1)), Some(Err(Errno::BADF)), Some(Ok(1)), None]
    );
    let mut read = [0; 2];
    reader.read_exact(&mut read).unwrap();
    assert_eq!(&read, b"ac");
}

#[test]
fn no_write_waits_for_room() {
    let Some(mut ring) = ring() else { return };
    let (_reader, writer) = pipe().unwrap();
    rustix::pipe::fcntl_setpipe_size(&writer, 4096).unwrap();
    let mut results = [None; DEPTH];
    let list = std::iter::repeat_n((Target::Fd(writer.as_fd()), &[0; 4096][..]), 3);
    ring.write(list, &mut results).unwrap();
    assert_eq!(
        results[..3],
        [Some(Ok(4096)), Some(Err(Errno::AGAIN)), Some(Err(Errno::AGAIN))]
    );
}

#[test]
fn registered_files_are_written_by_number() {
    let Some(mut ring) = ring() else { return };
    let (mut reader, writer) = pipe().unwrap();
    ring.register(&[reader.as_fd(), writer.as_fd()]).unwrap();
    let mut results = [None; DEPTH];
    ring.write([(Target::Registered(1), &b"x"[..])].into_iter(), &mut results)
        .unwrap();
    assert_eq!(results[0], Some(Ok(1)));
    reader.read_exact(&mut [0; 1]).unwrap();
    ring.write([(Target::Registered(7), &b"x"[..])].into_iter(), &mut results)
        .unwrap();
    assert_eq!(results[0], Some(Err(Errno::BADF)));
}

#[test]
fn a_ring_of_another_thread_refuses_and_writes_nothing() {
    let Some(mut ring) = ring() else { return };
    let (reader, writer) = pipe().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut results = [None; DEPTH];
            let mut write = || {
                ring.write(
                    [(Target::Fd(writer.as_fd()), &b"x"[..])].into_iter(),
                    &mut results,
                )
            };
            // Kernels before 6.1 know no rings of one thread alone.
            if write().is_err() {
                assert!(write().is_err());
                assert_eq!(rustix::io::ioctl_fionread(&reader).unwrap(), 0);
            }
        });
    });
}

#[test]
fn a_thread_that_may_not_use_io_uring_is_told_so() {
    std::thread::spawn(|| {
        refuse_io_uring();
        let error = WriteRing::new().unwrap_err();
        assert_eq!(error.errno(), libc::EPERM);
    })
    .join()
    .unwrap();
}

/// Installs a seccomp filter for the calling thread alone that answers io_uring_setup with EPERM, as Docker's does.
fn refuse_io_uring() {
    let statement = |code: u32, k: u32| libc::sock_filter {
        code: code as u16,
        jt: 0,
        jf: 0,
        k,
    };
    let mut program = [
        // The number of the system call is the first word of seccomp_data.
        statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0),
        libc::sock_filter {
            jf: 1,
            ..statement(
                libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K,
                libc::SYS_io_uring_setup as u32,
            )
        },
        statement(
            libc::BPF_RET | libc::BPF_K,
            libc::SECCOMP_RET_ERRNO | libc::EPERM as u32,
        ),
        statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW),
    ];
    let filter = libc::sock_fprog {
        len: program.len() as u16,
        filter: program.as_mut_ptr(),
    };
    // SAFETY: both calls take integers, and the second a program that outlives it.
    unsafe {
        assert_eq!(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
        assert_eq!(
            libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter),
            0
        );
    }
}
