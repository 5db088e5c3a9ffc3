//! What link is built of, in two makes: the real one, and in a build for the model checker (tests/loom_link.rs) stand-ins
//! that it can see into.

#[cfg(loom)]
pub use model::*;
#[cfg(not(loom))]
pub use real::*;

#[cfg(not(loom))]
mod real {
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

    pub use crossbeam_channel::{Receiver, Sender, bounded};
    pub use std::sync::Mutex;
    pub use std::sync::atomic::{AtomicBool, Ordering};

    /// An eventfd: a counter in the kernel whose reader sleeps while it is zero.
    #[derive(Debug)]
    pub struct Event(OwnedFd);

    impl Event {
        /// # Errors
        /// When the kernel has no descriptor left.
        pub fn new() -> std::io::Result<Self> {
            // Blocking on purpose: a non-blocking eventfd makes the ring's read spin (monoio PR #100).
            Ok(Event(rustix::event::eventfd(0, rustix::event::EventfdFlags::CLOEXEC)?))
        }

        /// Wakes the reader.
        pub fn write(&self) {
            // A full counter (u64::MAX - 1 rings unread) would block a blocking eventfd; it cannot be reached, because
            // `Doorbell` allows one ring per sleep. Any other error means that the shard is gone: nobody to wake.
            let _ = rustix::io::write(&self.0, &1u64.to_ne_bytes());
        }

        /// The descriptor to read from.
        #[must_use]
        pub fn as_fd(&self) -> BorrowedFd<'_> {
            self.0.as_fd()
        }
    }
}

#[cfg(loom)]
mod model {
    use std::collections::VecDeque;
    use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
    use std::sync::{Arc, PoisonError};

    use crossbeam_channel::{SendError, TryRecvError, TrySendError};
    use loom::sync::{Condvar, MutexGuard};

    pub use loom::sync::Mutex;
    pub use loom::sync::atomic::{AtomicBool, Ordering};

    /// Every channel is full this soon, so that the model sees it.
    const CAPACITY: usize = 1;

    /// Counts, and blocks its reader while it is zero.
    #[derive(Debug)]
    pub struct Event {
        /// Nobody waits on it; it is there for those who want a descriptor.
        descriptor: OwnedFd,
        count: Mutex<u64>,
        changed: Condvar,
    }

    impl Event {
        pub fn new() -> std::io::Result<Self> {
            let descriptor = std::fs::File::open("/dev/null")?.into();
            Ok(Event { descriptor, count: Mutex::new(0), changed: Condvar::new() })
        }

        pub fn write(&self) {
            *lock(&self.count) += 1;
            self.changed.notify_one();
        }

        /// Sleeps until it is written to.
        pub fn read(&self) {
            let mut count = lock(&self.count);
            while *count == 0 {
                count = self.changed.wait(count).unwrap_or_else(PoisonError::into_inner);
            }
            *count = 0;
        }

        pub fn as_fd(&self) -> BorrowedFd<'_> {
            self.descriptor.as_fd()
        }
    }

    struct Channel<T> {
        queue: Mutex<VecDeque<T>>,
        room: Condvar,
    }

    /// As in `crossbeam_channel`; but the other end never goes.
    pub struct Sender<T>(Arc<Channel<T>>);
    /// See [`Sender`].
    pub struct Receiver<T>(Arc<Channel<T>>);

    pub fn bounded<T>(_capacity: usize) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel { queue: Mutex::new(VecDeque::new()), room: Condvar::new() });
        (Sender(channel.clone()), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
            let mut queue = lock(&self.0.queue);
            if queue.len() == CAPACITY {
                return Err(TrySendError::Full(message));
            }
            queue.push_back(message);
            Ok(())
        }

        pub fn send(&self, message: T) -> Result<(), SendError<T>> {
            let mut queue = lock(&self.0.queue);
            while queue.len() == CAPACITY {
                queue = self.0.room.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            queue.push_back(message);
            Ok(())
        }

        pub fn len(&self) -> usize {
            lock(&self.0.queue).len()
        }

        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }

        pub fn is_full(&self) -> bool {
            self.len() == CAPACITY
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            Sender(self.0.clone())
        }
    }

    impl<T> Clone for Receiver<T> {
        fn clone(&self) -> Self {
            Receiver(self.0.clone())
        }
    }

    impl<T> Receiver<T> {
        pub fn try_recv(&self) -> Result<T, TryRecvError> {
            let message = lock(&self.0.queue).pop_front().ok_or(TryRecvError::Empty)?;
            self.0.room.notify_one();
            Ok(message)
        }

        pub fn len(&self) -> usize {
            lock(&self.0.queue).len()
        }

        pub fn is_empty(&self) -> bool {
            self.len() == 0
        }
    }

    fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
        mutex.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
