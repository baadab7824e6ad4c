//! What a process comes after: whether it may start, never will, or would wait for itself.

use std::collections::HashSet;

use crate::manager::process::Process;
use crate::manager::registry::Registry;
use crate::manager::spec::{After, Condition, ProcessSpec};

/// Whether a waiting process may start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Everything it comes after has happened.
    Now,
    /// Not yet.
    Later,
    /// It cannot happen any more, for this reason.
    Never(String),
}

/// Whether a process of `spec` may start.
pub(crate) fn turn(spec: &ProcessSpec, registry: &Registry) -> Turn {
    let mut turn = Turn::Now;
    for after in &spec.after {
        match one(after, registry) {
            Turn::Now => {}
            Turn::Later => turn = Turn::Later,
            never => return never,
        }
    }
    turn
}

fn one(After { name, condition }: &After, registry: &Registry) -> Turn {
    // One that is not there yet may still be created.
    let Some(other) = registry.process(name.as_str()) else { return Turn::Later };
    let happened = match condition {
        Condition::Started => other.was_started(),
        Condition::Ready => other.was_ready(),
        Condition::Ok => other.ended_well(),
    };
    if happened {
        Turn::Now
    } else if other.is_live() {
        Turn::Later
    } else {
        Turn::Never(format!("{name} {} and will not become {}", other.end_text(), condition.name()))
    }
}

/// The circle that `spec` would close, as names that each come after the next; None if there is none.
pub(crate) fn circle(spec: &ProcessSpec, registry: &Registry) -> Option<Vec<String>> {
    let mut path = vec![spec.name.to_string()];
    walk(spec, spec.name.as_str(), registry, &mut path, &mut HashSet::new()).then(|| {
        path.push(spec.name.to_string());
        path
    })
}

/// Depth first over live processes, each once.
fn walk(
    spec: &ProcessSpec,
    goal: &str,
    registry: &Registry,
    path: &mut Vec<String>,
    seen: &mut HashSet<String>,
) -> bool {
    spec.after.iter().any(|after| {
        let next = after.name.as_str();
        if next == goal {
            return true;
        }
        let Some(other) = registry.process(next).filter(|other| other.is_live()) else { return false };
        if !seen.insert(next.to_owned()) {
            return false;
        }
        path.push(next.to_owned());
        let closed = walk(&other.spec, goal, registry, path, seen);
        if !closed {
            path.pop();
        }
        closed
    })
}

/// What a process still waits for, as it was typed.
pub(crate) fn missing(process: &Process, registry: &Registry) -> Vec<String> {
    let open = process.spec.after.iter().filter(|after| one(after, registry) != Turn::Now);
    open.map(|after| format!("{}:{}", after.name, after.condition.name())).collect()
}
