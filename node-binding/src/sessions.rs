//! Sessions as JavaScript sees them. Texts are JSON, which TypeScript writes and reads.

use std::sync::Arc;

use napi_derive::napi;

use crate::native::session::{Room, Session};

/// A session; several threads may have one of the same session.
#[napi]
pub struct NativeSessionStore {
    session: Arc<Session>,
}

/// How much a session keeps, and what it holds.
#[napi(object, object_from_js = false)]
pub struct NativeSessionFacts {
    /// Its number in this process.
    pub id: f64,
    /// At most.
    pub max_messages: f64,
    /// At most, of all messages.
    pub max_bytes: f64,
    /// Now.
    pub messages: f64,
    /// Now.
    pub bytes: f64,
    /// They have made room for others.
    pub dropped: f64,
}

#[napi]
impl NativeSessionStore {
    /// A new session.
    #[napi(constructor, catch_unwind)]
    pub fn new(max_messages: f64, max_bytes: f64) -> Self {
        NativeSessionStore {
            session: Session::create(Room { messages: max_messages as usize, bytes: max_bytes as usize }),
        }
    }

    /// The session with that number, if anybody in this process still has it.
    #[napi(catch_unwind)]
    pub fn find(id: f64) -> Option<NativeSessionStore> {
        Session::find(id as u64).map(|session| NativeSessionStore { session })
    }

    /// False: it is too large.
    #[napi(catch_unwind)]
    pub fn configure(&self, config: String) -> bool {
        self.session.configure(config)
    }

    /// The configuration.
    #[napi(catch_unwind)]
    pub fn config(&self) -> String {
        self.session.config()
    }

    /// False: it is too large.
    #[napi(catch_unwind)]
    pub fn add(&self, message: String) -> bool {
        self.session.add(message)
    }

    /// A JSON array, oldest first.
    #[napi(catch_unwind)]
    pub fn messages(&self) -> String {
        self.session.messages()
    }

    /// Drops the messages.
    #[napi(catch_unwind)]
    pub fn clear(&self) {
        self.session.clear();
    }

    /// How much it keeps, and what it holds.
    #[napi(catch_unwind)]
    pub fn facts(&self) -> NativeSessionFacts {
        let (room, held) = (self.session.room(), self.session.held());
        NativeSessionFacts {
            id: self.session.id() as f64,
            max_messages: room.messages as f64,
            max_bytes: room.bytes as f64,
            messages: held.messages as f64,
            bytes: held.bytes as f64,
            dropped: held.dropped as f64,
        }
    }
}
