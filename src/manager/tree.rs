//! The processes that belong to one managed process, however far they got away from it.

use std::collections::HashSet;

use crate::sys::handle::Handle;
use crate::sys::proc::{self, Stat};

/// Where the tree of one managed process begins.
#[derive(Clone, Debug)]
pub(crate) struct Root {
    /// Process id of the leader, which is the number of its process group too.
    pub(crate) pid: u32,
    /// When the leader started, in clock ticks since boot.
    pub(crate) start_ticks: u64,
    /// The `KEY=VALUE` entry that the leader has in its environment and everybody inherits.
    pub(crate) cookie: String,
}

impl Root {
    /// Every live process of the tree, the leader first: the leader, and what the manager adopted, which is this process,
    /// if it is in the leader's group or has the cookie; and their descendants. Zombies do not count.
    ///
    /// Of a child of the manager `is_other_leader` says that it leads a tree of its own, so its environment need not be
    /// read.
    ///
    /// That nobody is left, or everybody stopped, is the proof that a command waits for, so it is told only when two
    /// looks agree. Everybody stopped: the second look is at all processes of the system, where none that existed before
    /// can be missing, and none that the first found stopped can have made a new one since. Nobody left: whoever lost
    /// his parent is in the manager's own list of children, from which only the manager itself takes anybody away; if
    /// nobody came to that list while it was looked through, nobody was missed.
    pub(crate) fn members(&self, is_other_leader: &dyn Fn(u32) -> bool) -> Vec<Stat> {
        loop {
            let children: HashSet<u32> = own_children();
            let found = self.glance(is_other_leader);
            if !found.is_empty() {
                let stopped = found.iter().all(Stat::is_stopped);
                return if stopped { self.walk(&View::all(), is_other_leader) } else { found };
            }
            if own_children().is_subset(&children) {
                return found;
            }
        }
    }

    /// As [`members`](Self::members), by one cheap look: for a list, and where another look follows.
    pub(crate) fn glance(&self, is_other_leader: &dyn Fn(u32) -> bool) -> Vec<Stat> {
        self.walk(&View::Family, is_other_leader)
    }

    /// As [`members`](Self::members) for a process that is no ancestor of the tree: the leader and what has the cookie,
    /// anywhere, and their descendants. The group alone is no proof here, because its number may be somebody else's.
    pub(crate) fn members_anywhere(&self) -> Vec<Stat> {
        Self::each_anywhere(&[self]).pop().unwrap_or_default()
    }

    /// As [`members_anywhere`](Self::members_anywhere) for each of `roots`, by one look at the system.
    pub(crate) fn each_anywhere(roots: &[&Self]) -> Vec<Vec<Stat>> {
        let view = View::all();
        let mut trees: Vec<Tree> = roots.iter().map(|_| Tree::default()).collect();
        for (root, tree) in roots.iter().zip(&mut trees) {
            let leader = proc::stat(root.pid).filter(|stat| stat.start_ticks == root.start_ticks);
            leader.into_iter().for_each(|leader| tree.add(leader, &view));
        }
        for stat in view
            .everybody()
            .iter()
            .filter(|stat| !trees.iter().all(|tree| tree.has(stat.pid)))
            .cloned()
            .collect::<Vec<_>>()
        {
            let environ = proc::environ(stat.pid);
            let entries: HashSet<&[u8]> = environ.split(|&byte| byte == 0).collect();
            for (root, tree) in roots.iter().zip(&mut trees) {
                if !tree.has(stat.pid) && entries.contains(root.cookie.as_bytes()) {
                    tree.add(stat.clone(), &view);
                }
            }
        }
        trees.into_iter().map(Tree::alive).collect()
    }

    /// The same tree by its cookie alone: its leader is the oldest of those who lead a group. Without one, as it is.
    pub(crate) fn found_by_cookie(self) -> Self {
        let leaders = self.members_anywhere().into_iter().filter(|stat| stat.group == stat.pid);
        match leaders.min_by_key(|stat| (stat.start_ticks, stat.pid)) {
            Some(leader) => Self { pid: leader.pid, start_ticks: leader.start_ticks, ..self },
            None => self,
        }
    }

    fn walk(&self, view: &View, is_other_leader: &dyn Fn(u32) -> bool) -> Vec<Stat> {
        let leader = proc::stat(self.pid);
        // Nobody else can have the number while the group lives, so another process with it has a group of its own.
        let has_group = leader.as_ref().is_none_or(|stat| stat.start_ticks == self.start_ticks);
        let mut tree = Tree::default();
        leader.into_iter().filter(|_| has_group).for_each(|leader| tree.add(leader, view));
        let is_known = |pid| pid == self.pid || is_other_leader(pid);
        for adopted in view.children_except(std::process::id(), &is_known) {
            let is_in_group = has_group && adopted.group == self.pid;
            if is_in_group || proc::environ_has(adopted.pid, &self.cookie) {
                tree.add(adopted, view);
            }
        }
        tree.alive()
    }
}

fn own_children() -> HashSet<u32> {
    proc::children(std::process::id()).into_iter().collect()
}

/// Processes found so far, each once, everybody after its parent.
#[derive(Default)]
struct Tree {
    found: Vec<Stat>,
    pids: HashSet<u32>,
}

impl Tree {
    fn has(&self, pid: u32) -> bool {
        self.pids.contains(&pid)
    }

    /// Adds `stat` and its descendants.
    fn add(&mut self, stat: Stat, view: &View) {
        let mut next = self.found.len();
        self.push(stat);
        while let Some(parent) = self.found.get(next).map(|stat| stat.pid) {
            view.children(parent).into_iter().for_each(|child| self.push(child));
            next += 1;
        }
    }

    fn push(&mut self, stat: Stat) {
        if self.pids.insert(stat.pid) {
            self.found.push(stat);
        }
    }

    fn alive(self) -> Vec<Stat> {
        self.found.into_iter().filter(|stat| !stat.is_zombie()).collect()
    }
}

/// Who is whose child.
enum View {
    /// As the kernel lists the children of one process when it is asked: cheap, and one may be missing.
    Family,
    /// All processes of the system, in the order of their parents' pids.
    All(Vec<Stat>),
}

impl View {
    fn all() -> Self {
        let mut everybody = proc::all();
        everybody.sort_by_key(|stat| stat.parent);
        Self::All(everybody)
    }

    fn everybody(&self) -> &[Stat] {
        match self {
            Self::Family => &[],
            Self::All(everybody) => everybody,
        }
    }

    fn children(&self, pid: u32) -> Vec<Stat> {
        self.children_except(pid, &|_| false)
    }

    /// Without those that `is_known`, which then need not be read: a manager has many children, and knows nearly all.
    fn children_except(&self, pid: u32, is_known: &dyn Fn(u32) -> bool) -> Vec<Stat> {
        match self {
            Self::Family => {
                let unknown = proc::children(pid).into_iter().filter(|child| !is_known(*child));
                unknown.filter_map(proc::stat).collect()
            }
            Self::All(everybody) => {
                let from = everybody.partition_point(|stat| stat.parent < pid);
                let children = everybody[from..].iter().take_while(|stat| stat.parent == pid);
                children.filter(|child| !is_known(child.pid)).cloned().collect()
            }
        }
    }
}

/// Sends `signal` to each member that is not in process group `group`, held by pidfd and known by its start time. The
/// group itself is for [`Child::signal_group`](crate::sys::child::Child::signal_group).
pub(crate) fn signal_outside(members: &[Stat], group: u32, signal: i32) {
    for member in members.iter().filter(|member| member.group != group) {
        if let Some(handle) = Handle::open(member.pid, member.start_ticks) {
            handle.signal(signal);
        }
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::manager::testing::tree;
    use crate::sys::child::Child;
    use crate::sys::handle::{next_dead, reap};
    use crate::sys::process::become_subreaper;
    use crate::sys::testing::{alone, eventually};

    const SIGTERM: i32 = 15;
    const SIGSTOP: i32 = 19;
    const SIGKILL: i32 = 9;

    fn pids(members: &[Stat]) -> Vec<u32> {
        members.iter().map(|stat| stat.pid).collect()
    }

    fn sorted(mut pids: Vec<u32>) -> Vec<u32> {
        pids.sort_unstable();
        pids
    }

    fn nobody(_: u32) -> bool {
        false
    }

    /// Kills what is left of the tree and reaps what this process adopted.
    fn end(child: &Child, root: &Root) {
        eventually(|| {
            child.signal_group(SIGKILL);
            signal_outside(&root.members(&nobody), root.pid, SIGKILL);
            while let Some(dead) = next_dead() {
                reap(dead);
            }
            root.members(&nobody).is_empty()
        });
    }

    #[test]
    fn nobody_gets_out_of_a_tree() {
        alone("manager::tree::tests::nobody_gets_out_of_a_tree", || {
            become_subreaper().unwrap();
            a_family_in_one_group();
            an_orphan_in_a_session_of_its_own();
            an_orphan_of_the_group_without_environment();
            everybody_stopped_and_everybody_killed();
        });
    }

    fn a_family_in_one_group() {
        let (child, root, said) = tree("1", "sleep 1000 >/dev/null & echo $!; wait", 1);
        let (other, _, _) = tree("2", "exec sleep 1000", 0);
        assert_eq!(pids(&root.members(&nobody)), [child.pid(), said[0]]);
        assert_eq!(sorted(pids(&root.members_anywhere())), sorted(vec![child.pid(), said[0]]));
        assert!(Root { start_ticks: 0, ..root.clone() }.members(&nobody).is_empty());
        drop(other);
        end(&child, &root);
    }

    fn an_orphan_in_a_session_of_its_own() {
        // The first two shells below the leader end at once, so the third is adopted; it has a child.
        let script = "setsid sh -c 'sh -c \"sleep 1000 & wait\" &'; exec sleep 1000";
        let (child, root, _) = tree("3", script, 0);
        eventually(|| {
            while let Some(dead) = next_dead() {
                reap(dead);
            }
            root.members(&nobody).iter().map(|stat| stat.name.as_str()).eq(["sleep", "sh", "sleep"])
        });
        let members = root.members(&nobody);
        assert_eq!(members[0].pid, child.pid());
        assert!(members[1..].iter().all(|stat| stat.group != root.pid && stat.session != members[0].session));
        assert_eq!(members[1].parent, std::process::id());
        assert_eq!(sorted(pids(&root.members_anywhere())), sorted(pids(&members)));
        assert_eq!(pids(&root.members(&|pid| pid != child.pid())), [child.pid()]);
        signal_outside(&members, root.pid, SIGTERM);
        eventually(|| pids(&root.members(&nobody)) == [child.pid()]);
        end(&child, &root);
    }

    fn an_orphan_of_the_group_without_environment() {
        let (mut child, root, said) = tree("4", "env -i sleep 1000 >/dev/null & echo $!", 1);
        child.wait().unwrap();
        assert_eq!(pids(&root.members(&nobody)), said);
        eventually(|| root.members_anywhere().is_empty());
        assert_eq!(pids(&root.members(&nobody)), said);
        end(&child, &root);
    }

    fn everybody_stopped_and_everybody_killed() {
        let (child, root, _) = tree("5", "sleep 1000 & setsid sleep 1000 & exec sleep 1000", 0);
        eventually(|| root.members(&nobody).iter().filter(|stat| stat.name == "sleep").count() == 3);
        assert!(child.signal_group(SIGSTOP));
        let outside = root.members(&nobody);
        eventually(|| root.members(&nobody).iter().filter(|stat| stat.is_stopped()).count() == 2);
        signal_outside(&outside, root.pid, SIGSTOP);
        eventually(|| root.members(&nobody).iter().all(Stat::is_stopped));
        assert_eq!(root.members(&nobody).len(), 3);
        end(&child, &root);
    }
}
