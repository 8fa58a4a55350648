//! The destinations and colours of output.

mod safe;

use std::fmt::Display;
use std::io::{self, IsTerminal as _, Read as _, Write as _};

use anstream::{AutoStream, ColorChoice};
use anstyle::{AnsiColor, Style};
use clap::ValueEnum;

use safe::Safe;

/// `--color`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// `--output`
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Text,
    /// For programs: one JSON document.
    Json,
}

/// Red, for errors.
pub(crate) const BAD: Style = AnsiColor::Red.on_default().bold();
/// Green, for what is as it should be.
pub(crate) const GOOD: Style = AnsiColor::Green.on_default().bold();
/// Yellow, for warnings.
pub(crate) const ODD: Style = AnsiColor::Yellow.on_default().bold();
/// Bold, for titles.
pub(crate) const STRONG: Style = Style::new().bold();
/// Dim, for what matters less.
pub(crate) const FAINT: Style = Style::new().dimmed();

/// Standard output. Its reader may close it early, as `head` does. That does not change the result
/// of the command; the rest of the output is dropped.
pub(crate) struct Output {
    stream: AutoStream<io::Stdout>,
    is_closed: bool,
}

impl Output {
    fn unless_closed<T>(
        &mut self,
        write: impl FnOnce(&mut AutoStream<io::Stdout>) -> io::Result<T>,
        done: T,
    ) -> io::Result<T> {
        if self.is_closed {
            return Ok(done);
        }
        match write(&mut self.stream) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(done)
            }
            written => written,
        }
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.unless_closed(|stream| stream.write(bytes), bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.unless_closed(io::Write::flush, ())
    }
}

/// Standard output and error, without colours where they are not wanted.
pub(crate) struct Terminal {
    /// The result that the command was asked for.
    pub(crate) out: Safe<Output>,
    /// Everything else, such as notes and summaries.
    pub(crate) err: Safe<AutoStream<io::Stderr>>,
}

impl std::fmt::Debug for Terminal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Terminal").finish_non_exhaustive()
    }
}

impl Terminal {
    pub(crate) fn new(color: Color) -> Self {
        let choice = match color {
            Color::Auto => ColorChoice::Auto,
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let out = Output { stream: AutoStream::new(io::stdout(), choice), is_closed: false };
        Terminal { out: Safe::new(out), err: Safe::new(AutoStream::new(io::stderr(), choice)) }
    }

    /// Writes output for programs to standard output, unchanged unless it is a terminal.
    pub(crate) fn write_data(&mut self, data: &str) -> io::Result<()> {
        if io::stdout().is_terminal() {
            return self.out.write_all(data.as_bytes());
        }
        self.out.inner().write_all(data.as_bytes())
    }

    /// Reports why the command could not be carried out.
    pub(crate) fn fail(&mut self, failure: &dyn Display) {
        // This failure itself cannot be reported any more.
        let _ = writeln!(self.err, "{} {failure}", painted(BAD, "error:"));
    }
}

/// Text in a style.
pub(crate) fn painted(style: Style, text: impl Display) -> String {
    format!("{style}{text}{style:#}")
}

/// All of standard input.
pub(crate) fn read_stdin() -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::stdin().lock().read_to_end(&mut bytes)?;
    Ok(bytes)
}
