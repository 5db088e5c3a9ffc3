//! A conversation that is kept in memory: a configuration and messages, both as JSON. Any thread may use it.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

/// How much a session keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Room {
    /// Messages.
    pub messages: usize,
    /// Bytes of all messages together.
    pub bytes: usize,
}

#[derive(Debug)]
struct State {
    config: String,
    messages: VecDeque<String>,
    bytes: usize,
    dropped: u64,
}

/// A session. The oldest messages make room for new ones.
#[derive(Debug)]
pub struct Session {
    id: u64,
    room: Room,
    state: Mutex<State>,
}

/// What a session holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    /// Messages.
    pub messages: usize,
    /// Their bytes.
    pub bytes: usize,
    /// Messages that have made room for others.
    pub dropped: u64,
}

/// The sessions that are in use, for other threads of the process to find. They end with their last user.
static SESSIONS: Mutex<Option<HashMap<u64, Weak<Session>>>> = Mutex::new(None);
static NEXT: AtomicU64 = AtomicU64::new(1);

impl Session {
    /// A new session.
    #[must_use]
    pub fn create(room: Room) -> Arc<Self> {
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        let state = State { config: "{}".to_owned(), messages: VecDeque::new(), bytes: 0, dropped: 0 };
        let session = Arc::new(Session { id, room, state: Mutex::new(state) });
        let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.get_or_insert_default().insert(id, Arc::downgrade(&session));
        session
    }

    /// The session with that number, if anybody still uses it.
    #[must_use]
    pub fn find(id: u64) -> Option<Arc<Self>> {
        let sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        sessions.as_ref().and_then(|sessions| sessions.get(&id)).and_then(Weak::upgrade)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its number in this process.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.id
    }

    /// How much it keeps.
    #[must_use]
    pub fn room(&self) -> Room {
        self.room
    }

    /// Replaces the configuration. False when it has more bytes than all messages may have.
    pub fn configure(&self, config: String) -> bool {
        let fits = config.len() <= self.room.bytes;
        if fits {
            self.lock().config = config;
        }
        fits
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> String {
        self.lock().config.clone()
    }

    /// Adds a message, for which the oldest make room. False when it alone has more bytes than all may have.
    pub fn add(&self, message: String) -> bool {
        if message.len() > self.room.bytes {
            return false;
        }
        let mut state = self.lock();
        state.bytes += message.len();
        state.messages.push_back(message);
        while state.messages.len() > self.room.messages || state.bytes > self.room.bytes {
            let Some(oldest) = state.messages.pop_front() else { break };
            state.bytes -= oldest.len();
            state.dropped += 1;
        }
        true
    }

    /// The messages, oldest first, as a JSON array.
    #[must_use]
    pub fn messages(&self) -> String {
        let state = self.lock();
        let mut text = String::with_capacity(state.bytes + state.messages.len() + 2);
        text.push('[');
        for (place, message) in state.messages.iter().enumerate() {
            if place > 0 {
                text.push(',');
            }
            text.push_str(message);
        }
        text.push(']');
        text
    }

    /// Drops the messages, and keeps the configuration.
    pub fn clear(&self) {
        let mut state = self.lock();
        state.messages.clear();
        (state.bytes, state.dropped) = (0, 0);
    }

    /// What it holds.
    #[must_use]
    pub fn held(&self) -> Held {
        let state = self.lock();
        Held { messages: state.messages.len(), bytes: state.bytes, dropped: state.dropped }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let mut sessions = SESSIONS.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sessions) = sessions.as_mut() {
            sessions.remove(&self.id);
        }
    }
}
