//! The commands that only look: list, show, why, save, names.

use crate::manager::command::{Kind, Targets};
use crate::manager::pending::Job;
use crate::manager::protocol::{Answer, ProcessRow};
use crate::manager::registry::Entry;
use crate::manager::supervisor::Manager;

impl Manager {
    pub(super) fn list(&mut self, at: usize, kind: Option<Kind>) {
        let of_kind = |entry: &Entry| kind.is_none_or(|kind| kind == entry.kind());
        let ids: Vec<u64> = self.registry.iter().filter(|(_, entry)| of_kind(entry)).map(|(id, _)| id).collect();
        for id in ids {
            self.row(at, id, false);
        }
    }

    pub(super) fn show(&mut self, at: usize, job: &mut Job, targets: &Targets) {
        for id in self.find(at, job, targets, false) {
            self.row(at, id, true);
        }
    }

    fn row(&mut self, at: usize, id: u64, details: bool) {
        self.observe(id);
        let answer = match self.registry.get(id) {
            Some(Entry::Process(process)) => {
                let row: ProcessRow = process.row(&self.leaders, self.now, details);
                Answer::Process(Box::new(row))
            }
            Some(Entry::Thread(thread)) => Answer::Thread(thread.row(self.now)),
            Some(Entry::Pool(pool)) => Answer::Pool(pool.row(self.now, details)),
            None => return,
        };
        self.clients[at].connection.send(answer);
    }

    /// Notes what somebody else did to a process, before anything is said about it.
    fn observe(&mut self, id: u64) {
        let (registry, mut cx) = self.parts();
        if let Some(Entry::Process(process)) = registry.get_mut(id) {
            process.observe(&mut cx);
        }
    }

    pub(super) fn why(&mut self, at: usize, job: &mut Job, targets: &Targets) {
        for id in self.find(at, job, targets, false) {
            self.observe(id);
            let transitions: Vec<_> = match self.registry.get(id) {
                Some(entry) => entry.history().transitions().cloned().collect(),
                None => Vec::new(),
            };
            for transition in transitions {
                self.clients[at].connection.send(Answer::Transition(transition));
            }
        }
    }

    /// Commands that rebuild what lives: those that create, in the order of creation, and those that pause.
    pub(super) fn save(&mut self, at: usize) {
        let live = self.registry.iter().filter(|(_, entry)| entry.is_live());
        let mut commands = Vec::new();
        for (_, entry) in live {
            let (words, held) = match entry {
                Entry::Process(process) => (process.spec.words(), process.is_held()),
                Entry::Thread(thread) => (thread.spec.words(), thread.is_held()),
                Entry::Pool(pool) => (pool.spec.words(), pool.is_held()),
            };
            commands.push(words);
            if held {
                let name = entry.name().to_owned();
                commands.push(vec!["pause".into(), entry.kind().name().into(), name.into()]);
            }
        }
        for words in commands {
            let words = words.iter().map(|word| word.as_os_str().into()).collect();
            self.clients[at].connection.send(Answer::Command { words });
        }
    }

    pub(super) fn names(&mut self, at: usize) {
        let live = self.registry.iter().filter(|(_, entry)| entry.is_live());
        let names: Vec<_> = live.map(|(_, entry)| (entry.kind(), entry.name().to_owned())).collect();
        for (kind, name) in names {
            self.clients[at].connection.send(Answer::Name { kind, name });
        }
    }
}
