//! The terminal that a person types on: every key at once while a line is edited, and suspending like any other job.

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use nix::sys::signal::{Signal, kill};
use nix::sys::termios::{self, InputFlags, LocalFlags, SetArg, SpecialCharacterIndices, Termios};
use nix::unistd::Pid;

/// A terminal that hands over every key as it is typed, shows none, and makes no signals of them, until this is
/// dropped. What is written to it is treated as ever.
#[derive(Debug)]
pub struct Raw {
    terminal: OwnedFd,
    before: Termios,
    raw: Termios,
}

impl Raw {
    /// Has `terminal` hand over every key.
    ///
    /// # Errors
    /// ENOTTY for what is no terminal.
    pub fn enter(terminal: BorrowedFd<'_>) -> io::Result<Self> {
        let before = termios::tcgetattr(terminal)?;
        let mut raw = before.clone();
        raw.local_flags.remove(LocalFlags::ICANON | LocalFlags::ECHO | LocalFlags::ISIG | LocalFlags::IEXTEN);
        raw.input_flags.remove(InputFlags::ICRNL | InputFlags::INLCR | InputFlags::IGNCR | InputFlags::IXON);
        raw.control_chars[SpecialCharacterIndices::VMIN as usize] = 1;
        raw.control_chars[SpecialCharacterIndices::VTIME as usize] = 0;
        let terminal = terminal.try_clone_to_owned()?;
        termios::tcsetattr(&terminal, SetArg::TCSADRAIN, &raw)?;
        Ok(Self { terminal, before, raw })
    }

    /// Does `something` on the terminal as it was before.
    ///
    /// # Errors
    /// Those of `something`; EIO for a terminal that has gone.
    pub fn pause<T>(&mut self, something: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before)?;
        let done = something();
        termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.raw)?;
        done
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        // Fails only for a terminal that has gone, which needs no settings.
        let _ = termios::tcsetattr(&self.terminal, SetArg::TCSADRAIN, &self.before);
    }
}

/// Suspends this process and its job, as Ctrl-Z does; returns when it goes on.
///
/// # Errors
/// None in practice.
pub fn suspend() -> io::Result<()> {
    // Process group 0 is the caller's own, which is the job as the shell knows it.
    kill(Pid::from_raw(0), Signal::SIGTSTP)?;
    Ok(())
}
