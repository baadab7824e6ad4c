//! Named processes and threads: created, paused, resumed, ended, watched and explained.
//!
//! [`Manager`] is a loop in one thread that serves any number of clients over one protocol, [`protocol`]. A prompt, a
//! script and a program at the control socket are all clients of it. What it can be told is a [`Command`]; turning words
//! into one is left to the program, so that there is one grammar.
//!
//! | file | what is in it |
//! |---|---|
//! | `supervisor`, `strays`, `serving`, `verbs`, `look`, `pending`, `ending` | the loop: clients, what they ask for, what takes time, the end |
//! | `registry`, `pattern`, `order` | names, what a target means, what comes after what |
//! | `process/`, `thread_entry`, `thread/` | one process or thread as a state machine |
//! | `pool/`, `pools`, `results` | one pool with its workers and batches; what clients do with it; results on their way |
//! | `tree`, `guard`, `guardian` | all processes of a tree; the guard that ends daemons when the manager is killed |
//! | `output`, `rotate`, `ring`, `events`, `event_log`, `sink`, `history`, `logd` | what was written and what happened |
//! | `socket`, `connection`, `client`, `protocol` | the control socket and both ends of a connection |

pub mod client;
pub mod command;
mod connection;
mod context;
mod countdown;
mod date;
mod ending;
mod event_log;
mod events;
pub mod guard;
mod guardian;
mod history;
mod journal;
pub mod logd;
mod look;
pub mod name;
mod order;
mod output;
mod pattern;
mod pending;
mod policy;
pub mod pool;
mod pools;
mod process;
pub mod protocol;
mod ready;
mod registry;
mod results;
mod ring;
mod rotate;
mod serving;
pub mod sink;
pub mod socket;
pub mod spec;
mod strays;
mod supervisor;
#[cfg(test)]
mod testing;
pub mod thread;
mod thread_entry;
mod tree;
mod verbs;
pub mod word;

pub use command::{BatchTarget, Command, Kind, Selector, Submission, Targets};
pub use name::Name;
pub use sink::Sink;
pub use socket::{BindError, Socket};
pub use supervisor::{Manager, Options, Parse};
