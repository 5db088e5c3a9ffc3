#![allow(clippy::unwrap_used)]
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::net::UnixStream;

use super::socket::{Peer, Shutdown, arrivals, departures};
use super::*;
use crate::config::DriverChoice;
use crate::shard::reactor::driver::{ShardRuntime, choose};

/// Runs `test` on a runtime that closes at once.
fn on_epoll(test: impl AsyncFnOnce(&Driver)) {
    let driver = choose(DriverChoice::Epoll, 1).unwrap();
    ShardRuntime::build(&driver).unwrap().block_on(test(&driver));
}

/// An open connection, and its peer.
fn connection(driver: &Driver) -> ((Socket, ReadHalf, WriteHalf), UnixStream) {
    let (ours, theirs) = UnixStream::pair().unwrap();
    (open(ours.into(), driver, None).unwrap(), theirs)
}

#[test]
fn a_socket_whose_halves_are_gone_touches_nobody_who_has_its_number_now() {
    on_epoll(async |driver| {
        let ((socket, reader, writer), _theirs) = connection(driver);
        let number = socket.lend().unwrap().as_fd().as_raw_fd();
        drop((reader, writer));
        assert!(socket.lend().is_none());
        // The lowest free number is taken: among a few new descriptors there is the old one.
        let others: Vec<_> = (0..16).map(|_| UnixStream::pair().unwrap()).collect();
        let heir = others.iter().find_map(|(a, b)| {
            let at = |end: &UnixStream| end.as_raw_fd() == number;
            if at(a) { Some((a, b)) } else { at(b).then_some((b, a)) }
        });
        let (mut heir, mut peer) = heir.expect("the number is taken again");
        peer.write_all(b"mine").unwrap();
        assert!(!socket.has_input());
        assert_eq!(socket.drop_input(&mut [0; 8]), 0);
        socket.shutdown(Shutdown::Both);
        socket.cut(true);
        let mut text = [0; 4];
        heir.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"mine");
    });
}

#[test]
fn a_socket_that_is_lent_stays_open_until_it_is_given_back() {
    on_epoll(async |driver| {
        let ((socket, reader, writer), mut theirs) = connection(driver);
        let lent = socket.lend().unwrap();
        drop((reader, writer));
        // The writing half ends its direction when it goes; nobody has closed the other.
        assert_eq!(theirs.read(&mut [0; 1]).unwrap(), 0);
        theirs.write_all(b"x").unwrap();
        assert!(socket.has_input());
        drop(lent);
        assert!(!socket.has_input() && socket.lend().is_none());
        assert_eq!(theirs.write_all(b"x").unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

#[test]
fn one_question_tells_of_many_sockets_which_have_input_and_whose_peers_have_left() {
    on_epoll(async |driver| {
        let (ours, mut theirs): (Vec<_>, Vec<_>) = (0..3).map(|_| connection(driver)).unzip();
        let lent = || ours.iter().map(|(socket, ..)| socket.lend().unwrap()).collect::<Vec<_>>();
        theirs[0].write_all(b"x").unwrap();
        theirs[1].shutdown(std::net::Shutdown::Write).unwrap();
        // The end of the input is something to read, too.
        assert_eq!(arrivals(&lent()), [true, true, false]);
        drop(theirs.pop());
        assert_eq!(departures(&lent()), [Peer::There, Peer::HalfClosed, Peer::Gone]);
        assert!(departures(&[]).is_empty());
    });
}

#[test]
fn a_read_is_taken_back_and_what_comes_later_is_there_for_the_next() {
    on_epoll(async |driver| {
        let ((socket, mut reader, _writer), mut theirs) = connection(driver);
        assert!(!socket.cancel_read(), "none is under way");
        let mut read = Box::pin(reader.read_until_cancelled(Vec::with_capacity(8), &socket));
        let first = std::future::poll_fn(|cx| std::task::Poll::Ready(read.as_mut().poll(cx).is_pending())).await;
        assert!(first && socket.cancel_read());
        let (outcome, buffer) = read.await;
        assert!(halves::was_cancelled(&outcome.unwrap_err()) && buffer.is_empty());
        theirs.write_all(b"later").unwrap();
        assert_eq!(reader.read(Vec::with_capacity(8)).await.1, b"later");
    });
}
