//! What a process says about itself to the kernel: its name, and whose death concerns it.

use std::ffi::CString;
use std::io;

use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Sets the name that ps(1), pstree(1) and pgrep(1) show for this process: at most 15 bytes count.
///
/// # Errors
/// EINVAL for a name with a zero byte.
pub fn set_name(name: &str) -> io::Result<()> {
    prctl::set_name(&CString::new(name)?)?;
    Ok(())
}

/// CPUs that this process may run on (sched_getaffinity(2)), as nproc(1) counts them. Unlike
/// [`available_parallelism`](std::thread::available_parallelism) it does not look how much of them a control group allows,
/// which takes the time of starting a thread.
#[must_use]
pub fn cpus() -> usize {
    rustix::thread::sched_getaffinity(None).map_or(1, |cpus| cpus.count() as usize)
}

/// Has the kernel send `signal` to this process when the thread that spawned it ends (PR_SET_PDEATHSIG).
///
/// It never comes when the parent was dead already, so look at the parent's pid afterwards.
///
/// # Errors
/// EINVAL for an unknown signal.
pub fn on_parent_death(signal: Signal) -> io::Result<()> {
    prctl::set_pdeathsig(signal)?;
    Ok(())
}

/// Makes this process the one that adopts the orphans among its descendants (PR_SET_CHILD_SUBREAPER), instead of init.
/// It has to reap them: [`next_dead`](crate::sys::handle::next_dead). Holds for the whole process, and not for children.
///
/// # Errors
/// None in practice.
pub fn become_subreaper() -> io::Result<()> {
    prctl::set_child_subreaper(true)?;
    Ok(())
}

/// The kernel's number of the calling thread, as `ps -L` and `top -H` show it.
#[must_use]
pub fn thread_id() -> u32 {
    nix::unistd::gettid().as_raw() as u32
}

/// Makes this process the leader of a session of its own, without a terminal, so that no Ctrl-C and no closed terminal
/// reaches it.
///
/// # Errors
/// EPERM for the leader of a process group.
pub fn new_session() -> io::Result<()> {
    nix::unistd::setsid()?;
    Ok(())
}

/// Ends this process with an exit status. What the standard streams have buffered is written before.
pub fn leave(status: i32) -> ! {
    std::process::exit(status)
}
