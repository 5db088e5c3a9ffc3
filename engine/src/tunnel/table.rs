//! Which ids exist, which of them are exposed, and the handler behind each (CONTRACT 5, 16).

use std::collections::HashMap;
use std::collections::hash_map::{Entry, RandomState};
use std::fmt;

use super::json_string::write_json_string;

/// The two kinds of targets that have ids.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// `POST {base}/task/{id}`.
    Task,
    /// `POST {base}/event/{id}`.
    Event,
}

impl Kind {
    /// `Task` or `Event`, as the contract's messages spell it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Kind::Task => "Task",
            Kind::Event => "Event",
        }
    }
}

/// A registered task or event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registration {
    /// Task or event; the two have separate name spaces.
    pub kind: Kind,
    /// Any non-empty text; `__proto__` is as good as another.
    pub id: String,
    /// What [`Lookup::Handler`] gives back.
    pub index: u32,
}

/// Which ids may be called (CONTRACT 5).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Allow {
    /// Every registered id; any other is "not exposed", so unknown and hidden look the same.
    #[default]
    AllRegistered,
    /// No tunnel counts: everything is "Exposure not enabled".
    NotEnabled,
    /// The union of the tunnels' lists, in their order. Ids outside are "not exposed"; a listed id that is not
    /// registered is "not found".
    List {
        /// Ids of tasks.
        tasks: Vec<String>,
        /// Ids of events.
        events: Vec<String>,
    },
    /// `dangerouslyAllowOpenExposure` without a counting tunnel: every registered id, any other is "not found", and
    /// discovery shows nothing.
    Open,
}

/// What the table says about an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lookup {
    /// Exposed and registered; the index given at registration.
    Handler(u32),
    /// 403 `Exposure not enabled`.
    NotEnabled,
    /// 403 `Task X not exposed`.
    NotExposed,
    /// 404 `Task X not found`.
    NotFound,
}

/// Why a table could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableError {
    /// Two registrations of the same kind and id.
    Duplicate(Kind, String),
    /// An id without characters: no route leads to it.
    EmptyId(Kind),
}

impl fmt::Display for TableError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TableError::Duplicate(kind, id) => write!(f, "{} {id} is registered twice", kind.name()),
            TableError::EmptyId(kind) => write!(f, "{} with an empty id", kind.name()),
        }
    }
}

impl std::error::Error for TableError {}

/// Ids and their verdicts. The hasher is keyed at random, so that ids chosen by a client cannot collide on purpose.
type Ids = HashMap<Box<str>, Lookup, RandomState>;

/// Immutable map from (kind, id) to a handler, compiled from registrations and an allow list. Swapped whole when
/// either changes (D13: nothing is recomputed per request).
#[derive(Clone, Debug)]
pub struct HandlerTable {
    tasks: Ids,
    events: Ids,
    miss: Lookup,
    discovery: Box<[u8]>,
}

impl HandlerTable {
    /// Compiles a table.
    pub fn new(registered: &[Registration], allow: &Allow) -> Result<HandlerTable, TableError> {
        let mut tasks = Ids::default();
        let mut events = Ids::default();
        for Registration { kind, id, index } in registered {
            if id.is_empty() {
                return Err(TableError::EmptyId(*kind));
            }
            let ids = match kind {
                Kind::Task => &mut tasks,
                Kind::Event => &mut events,
            };
            match ids.entry(id.as_str().into()) {
                Entry::Occupied(_) => return Err(TableError::Duplicate(*kind, id.clone())),
                Entry::Vacant(free) => free.insert(Lookup::Handler(*index)),
            };
        }
        let of = |kind| registered.iter().filter(move |one| one.kind == kind).map(|one| one.id.as_str());
        Ok(match allow {
            Allow::AllRegistered => {
                let discovery = write_discovery(true, of(Kind::Task), of(Kind::Event));
                HandlerTable { tasks, events, miss: Lookup::NotExposed, discovery }
            }
            Allow::NotEnabled => HandlerTable {
                tasks: Ids::default(),
                events: Ids::default(),
                miss: Lookup::NotEnabled,
                discovery: write_discovery(false, [].into_iter(), [].into_iter()),
            },
            Allow::List { tasks: listed_tasks, events: listed_events } => {
                let (tasks, task_order) = restrict(&tasks, listed_tasks);
                let (events, event_order) = restrict(&events, listed_events);
                let discovery = write_discovery(true, task_order.into_iter(), event_order.into_iter());
                HandlerTable { tasks, events, miss: Lookup::NotExposed, discovery }
            }
            Allow::Open => {
                let discovery = write_discovery(false, [].into_iter(), [].into_iter());
                HandlerTable { tasks, events, miss: Lookup::NotFound, discovery }
            }
        })
    }

    /// What becomes of a call of `id` (decoded). Does not allocate.
    #[inline]
    #[must_use]
    pub fn lookup(&self, kind: Kind, id: &str) -> Lookup {
        let ids = match kind {
            Kind::Task => &self.tasks,
            Kind::Event => &self.events,
        };
        ids.get(id).copied().unwrap_or(self.miss)
    }

    /// The body of a discovery answer (CONTRACT 16), rendered once.
    #[must_use]
    pub fn discovery(&self) -> &[u8] {
        &self.discovery
    }
}

/// The listed part of `ids`, and the list without repetitions.
fn restrict<'a>(ids: &Ids, listed: &'a [String]) -> (Ids, Vec<&'a str>) {
    let mut kept = Ids::default();
    let mut order = Vec::new();
    for id in listed {
        if let Entry::Vacant(free) = kept.entry(id.as_str().into()) {
            free.insert(ids.get(id.as_str()).copied().unwrap_or(Lookup::NotFound));
            order.push(id.as_str());
        }
    }
    (kept, order)
}

fn write_discovery<'a>(
    enabled: bool,
    tasks: impl Iterator<Item = &'a str>,
    events: impl Iterator<Item = &'a str>,
) -> Box<[u8]> {
    let mut out = Vec::new();
    out.extend_from_slice(br#"{"ok":true,"result":{"allowList":{"enabled":"#);
    out.extend_from_slice(if enabled { b"true" } else { b"false" });
    out.extend_from_slice(br#","tasks":["#);
    write_list(&mut out, tasks);
    out.extend_from_slice(br#"],"events":["#);
    write_list(&mut out, events);
    out.extend_from_slice(b"]}}}");
    out.into()
}

fn write_list<'a>(out: &mut Vec<u8>, ids: impl Iterator<Item = &'a str>) {
    for (position, id) in ids.enumerate() {
        if position > 0 {
            out.push(b',');
        }
        write_json_string(out, id);
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn registered() -> Vec<Registration> {
        [
            (Kind::Task, "app.tasks.echo", 7),
            (Kind::Task, "app.tasks.add", 3),
            (Kind::Task, "both", 1),
            (Kind::Event, "both", 2),
            (Kind::Task, "a\"b\n", 4),
            (Kind::Task, "__proto__", 5),
        ]
        .map(|(kind, id, index)| Registration { kind, id: id.into(), index })
        .to_vec()
    }

    #[test]
    fn every_policy_answers_as_the_contract_says() {
        use Lookup::*;
        let list = Allow::List {
            tasks: ["app.tasks.echo", "gone", "app.tasks.echo"].map(String::from).to_vec(),
            events: vec!["both".into()],
        };
        // Policy, then verdicts for: registered and listed, registered but not listed, listed but not registered,
        // unknown, a name of Object.prototype, an event, and a task that is only known as an event.
        type Row = (Allow, [Lookup; 6]);
        let table: [Row; 4] = [
            (Allow::AllRegistered, [Handler(7), Handler(3), NotExposed, NotExposed, NotExposed, Handler(2)]),
            (Allow::NotEnabled, [NotEnabled; 6]),
            (list, [Handler(7), NotExposed, NotFound, NotExposed, NotExposed, Handler(2)]),
            (Allow::Open, [Handler(7), Handler(3), NotFound, NotFound, NotFound, Handler(2)]),
        ];
        for (allow, expected) in table {
            let handlers = HandlerTable::new(&registered(), &allow).unwrap();
            let found = [
                handlers.lookup(Kind::Task, "app.tasks.echo"),
                handlers.lookup(Kind::Task, "app.tasks.add"),
                handlers.lookup(Kind::Task, "gone"),
                handlers.lookup(Kind::Task, "nope"),
                handlers.lookup(Kind::Task, "constructor"),
                handlers.lookup(Kind::Event, "both"),
            ];
            assert_eq!(found, expected, "{allow:?}");
        }
    }

    #[test]
    fn kinds_are_separate_and_prototype_names_are_ids() {
        let handlers = HandlerTable::new(&registered(), &Allow::AllRegistered).unwrap();
        assert_eq!(handlers.lookup(Kind::Task, "both"), Lookup::Handler(1));
        assert_eq!(handlers.lookup(Kind::Event, "both"), Lookup::Handler(2));
        assert_eq!(handlers.lookup(Kind::Event, "app.tasks.echo"), Lookup::NotExposed);
        assert_eq!(handlers.lookup(Kind::Task, "__proto__"), Lookup::Handler(5));
    }

    /// What hash flooding needs is a hash that can be computed elsewhere.
    #[test]
    fn ids_that_collide_under_a_known_key_do_not_collide_here() {
        use std::collections::HashSet;
        use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};

        const BUCKETS: u64 = 512;
        let known = BuildHasherDefault::<DefaultHasher>::default();
        let colliding = (0..).map(|n| format!("app.tasks.{n}")).filter(|id| known.hash_one(id) % BUCKETS == 0);
        let ids: Vec<Registration> = colliding
            .take(512)
            .enumerate()
            .map(|(index, id)| Registration { kind: Kind::Task, id, index: index as u32 })
            .collect();
        let buckets_of = |table: &HandlerTable| -> Vec<u64> {
            ids.iter().map(|one| table.tasks.hasher().hash_one(one.id.as_str()) % BUCKETS).collect()
        };
        let [one, other] = [(); 2].map(|()| HandlerTable::new(&ids, &Allow::AllRegistered).unwrap());
        for table in [&one, &other] {
            let used: HashSet<u64> = buckets_of(table).into_iter().collect();
            // So many balls hit 324 of so many bins, give or take 10.
            assert!(used.len() > 250, "{} of {BUCKETS} buckets for ids that share one", used.len());
            assert!(ids.iter().all(|one| table.lookup(Kind::Task, &one.id) == Lookup::Handler(one.index)));
        }
        assert_ne!(buckets_of(&one), buckets_of(&other), "two tables have two keys");
    }

    #[test]
    fn discovery_keeps_the_order_and_escapes() {
        let body = |allow: &Allow| {
            let handlers = HandlerTable::new(&registered(), allow).unwrap();
            String::from_utf8(handlers.discovery().to_vec()).unwrap()
        };
        assert_eq!(
            body(&Allow::AllRegistered),
            r#"{"ok":true,"result":{"allowList":{"enabled":true,"tasks":["app.tasks.echo","app.tasks.add","both","a\"b\n","__proto__"],"events":["both"]}}}"#
        );
        let list = Allow::List { tasks: ["z", "a", "z"].map(String::from).to_vec(), events: vec![] };
        assert_eq!(body(&list), r#"{"ok":true,"result":{"allowList":{"enabled":true,"tasks":["z","a"],"events":[]}}}"#);
        let nothing = r#"{"ok":true,"result":{"allowList":{"enabled":false,"tasks":[],"events":[]}}}"#;
        assert_eq!(body(&Allow::NotEnabled), nothing);
        assert_eq!(body(&Allow::Open), nothing);
    }

    #[test]
    fn bad_registrations_are_errors() {
        let mut twice = registered();
        twice.push(twice[0].clone());
        assert_eq!(
            HandlerTable::new(&twice, &Allow::Open).unwrap_err(),
            TableError::Duplicate(Kind::Task, "app.tasks.echo".into())
        );
        let empty = [Registration { kind: Kind::Event, id: String::new(), index: 0 }];
        assert_eq!(HandlerTable::new(&empty, &Allow::Open).unwrap_err(), TableError::EmptyId(Kind::Event));
    }
}
