//! Everything that has a name, and finding what a command means.

use std::collections::BTreeMap;

use crate::manager::command::{Kind, Selector, Targets};
use crate::manager::history::History;
use crate::manager::output::Output;
use crate::manager::pattern::{fits, nearest};
use crate::manager::pool::Pool;
use crate::manager::process::Process;
use crate::manager::protocol::{Code, Refusal, Status};
use crate::manager::thread_entry::Thread;

/// Entries that have ended and are kept for `list`, `why` and `logs`; the oldest go first.
const KEPT: usize = 1000;

/// Bytes of output that all of those may keep together.
const KEPT_OUTPUT: u64 = 64 * 1024 * 1024;

/// A process, a thread or a pool.
#[derive(Debug)]
pub(crate) enum Entry {
    Process(Box<Process>),
    Thread(Box<Thread>),
    Pool(Box<Pool>),
}

impl Entry {
    pub(crate) fn kind(&self) -> Kind {
        match self {
            Self::Process(_) => Kind::Process,
            Self::Thread(_) => Kind::Thread,
            Self::Pool(_) => Kind::Pool,
        }
    }

    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Process(process) => process.name(),
            Self::Thread(thread) => thread.name(),
            Self::Pool(pool) => pool.name(),
        }
    }

    pub(crate) fn status(&self) -> &Status {
        match self {
            Self::Process(process) => process.status(),
            Self::Thread(thread) => thread.status(),
            Self::Pool(pool) => pool.status(),
        }
    }

    pub(crate) fn is_live(&self) -> bool {
        !self.status().is_final()
    }

    /// The process id or thread id that a person may type for it.
    pub(crate) fn number(&self) -> Option<u32> {
        match self {
            Self::Process(process) => process.live_pid(),
            Self::Thread(thread) => thread.tid(),
            Self::Pool(_) => None,
        }
    }

    /// The last process id or thread id.
    pub(crate) fn last_number(&self) -> Option<u32> {
        match self {
            Self::Process(process) => process.pid(),
            Self::Thread(thread) => thread.tid(),
            Self::Pool(_) => None,
        }
    }

    pub(crate) fn output(&self) -> &Output {
        match self {
            Self::Process(process) => &process.output,
            Self::Thread(thread) => &thread.output,
            Self::Pool(pool) => &pool.output,
        }
    }

    pub(crate) fn history(&self) -> &History {
        match self {
            Self::Process(process) => &process.history,
            Self::Thread(thread) => &thread.history,
            Self::Pool(pool) => &pool.history,
        }
    }
}

/// All entries by their IDs, which count from 1.
#[derive(Debug, Default)]
pub(crate) struct Registry {
    entries: BTreeMap<u64, Entry>,
    last_id: u64,
}

impl Registry {
    /// An ID that was never used.
    pub(crate) fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    /// Puts an entry in, in place of one of the same kind and name that has ended.
    pub(crate) fn insert(&mut self, id: u64, entry: Entry) {
        if let Some(old) = self.by_name(entry.kind(), entry.name()) {
            self.entries.remove(&old);
        }
        self.entries.insert(id, entry);
        self.forget_the_oldest();
    }

    fn forget_the_oldest(&mut self) {
        let mut output = 0;
        let ended = self.iter().filter(|(_, entry)| !entry.is_live()).map(|(id, entry)| (id, entry.output().bytes()));
        let newest_first: Vec<(u64, u64)> = ended.collect::<Vec<_>>().into_iter().rev().collect();
        for (place, (id, bytes)) in newest_first.into_iter().enumerate() {
            output += bytes;
            if place >= KEPT || output > KEPT_OUTPUT {
                self.entries.remove(&id);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: u64) -> Option<Entry> {
        self.entries.remove(&id)
    }

    pub(crate) fn get(&self, id: u64) -> Option<&Entry> {
        self.entries.get(&id)
    }

    pub(crate) fn get_mut(&mut self, id: u64) -> Option<&mut Entry> {
        self.entries.get_mut(&id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, &Entry)> {
        self.entries.iter().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (u64, &mut Entry)> {
        self.entries.iter_mut().map(|(id, entry)| (*id, entry))
    }

    pub(crate) fn processes(&self) -> impl Iterator<Item = &Process> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Process(process) => Some(&**process),
            Entry::Thread(_) | Entry::Pool(_) => None,
        })
    }

    pub(crate) fn pools(&self) -> impl Iterator<Item = &Pool> {
        self.entries.values().filter_map(|entry| match entry {
            Entry::Pool(pool) => Some(&**pool),
            Entry::Process(_) | Entry::Thread(_) => None,
        })
    }

    pub(crate) fn pool(&self, id: u64) -> Option<&Pool> {
        match self.get(id) {
            Some(Entry::Pool(pool)) => Some(pool),
            _ => None,
        }
    }

    pub(crate) fn pool_mut(&mut self, id: u64) -> Option<&mut Pool> {
        match self.get_mut(id) {
            Some(Entry::Pool(pool)) => Some(pool),
            _ => None,
        }
    }

    /// The process of this name.
    pub(crate) fn process(&self, name: &str) -> Option<&Process> {
        self.processes().find(|process| process.name() == name)
    }

    /// The entry of this kind and name.
    pub(crate) fn by_name(&self, kind: Kind, name: &str) -> Option<u64> {
        self.iter().find(|(_, entry)| entry.kind() == kind && entry.name() == name).map(|(id, _)| id)
    }

    /// The IDs that `targets` means, in the order typed and each once, and a refusal for each selector that means
    /// nothing. Where many are meant at once, by `all` or a pattern, `live` leaves out those that have ended.
    pub(crate) fn find(&self, targets: &Targets, live: bool) -> (Vec<u64>, Vec<Refusal>) {
        let mut found = Vec::new();
        let mut refused = Vec::new();
        for selector in &targets.select {
            match self.select(selector, targets.kind, live) {
                Ok(ids) => found.extend(ids.into_iter().filter(|id| !found.contains(id)).collect::<Vec<_>>()),
                Err(refusal) => refused.push(refusal),
            }
        }
        (found, refused)
    }

    fn select(&self, selector: &Selector, kind: Option<Kind>, live: bool) -> Result<Vec<u64>, Refusal> {
        let of_kind = self.iter().filter(|(_, entry)| kind.is_none_or(|kind| kind == entry.kind()));
        let many = |(_, entry): &(u64, &Entry)| !live || entry.is_live();
        let ids: Vec<u64> = match selector {
            Selector::All => return Ok(of_kind.filter(many).map(|(id, _)| id).collect()),
            Selector::Glob(pattern) => {
                let fitting: Vec<_> = of_kind.filter(|(_, entry)| fits(pattern, entry.name())).collect();
                if !fitting.is_empty() {
                    return Ok(fitting.into_iter().filter(many).map(|(id, _)| id).collect());
                }
                Vec::new()
            }
            Selector::Id(wanted) => of_kind.filter(|(id, _)| id == wanted).map(|(id, _)| id).collect(),
            Selector::Number(number) => {
                of_kind.filter(|(_, entry)| entry.number() == Some(*number)).map(|(id, _)| id).collect()
            }
            Selector::Name(name) => of_kind.filter(|(_, entry)| entry.name() == name).map(|(id, _)| id).collect(),
        };
        match ids.len() {
            0 => Err(self.not_found(selector, kind)),
            1 => Ok(ids),
            _ => Err(self.ambiguous(selector, &ids)),
        }
    }

    fn ambiguous(&self, selector: &Selector, ids: &[u64]) -> Refusal {
        let kinds: Vec<&str> = ids.iter().filter_map(|id| self.get(*id)).map(|entry| entry.kind().name()).collect();
        let (all, last) = (kinds.join(" and of a "), kinds.last().copied().unwrap_or_default());
        let message = format!("{selector} is the name of a {all}; say which, as in 'pause {last} {selector}'");
        Refusal::new(Code::Failed, message).about(selector.to_string())
    }

    fn not_found(&self, selector: &Selector, kind: Option<Kind>) -> Refusal {
        let what = kind.map_or("process, thread or pool", Kind::name);
        let shown = selector.to_string();
        let others: Vec<&str> =
            self.iter().filter(|(_, entry)| entry.name() == shown).map(|(_, entry)| entry.kind().name()).collect();
        let names = self.iter().filter(|(_, entry)| kind.is_none_or(|kind| kind == entry.kind()));
        let hint = nearest(&shown, names.map(|(_, entry)| entry.name()));
        let addition = match (others.first(), hint.as_slice()) {
            (Some(other), _) => format!("; there is a {other} of that name"),
            (None, []) => String::new(),
            (None, near) => format!("; did you mean {}?", near.join(" or ")),
        };
        let message = format!("there is no {what} {shown}{addition}");
        Refusal { hint, ..Refusal::new(Code::NotFound, message).about(shown) }
    }
}
