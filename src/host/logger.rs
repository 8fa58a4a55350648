//! The `log` crate's messages, to the host's log.

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::host;
use crate::printable;

struct Logger;

static LOGGER: Logger = Logger;

/// Sends the messages of the `log` macros to the host, which filters them by its own level.
pub(super) fn install() {
    if log::set_logger(&LOGGER).is_ok() {
        log::set_max_level(LevelFilter::Info);
    }
}

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        let level = match record.level() {
            Level::Error => host::Level::Error,
            Level::Warn => host::Level::Warn,
            Level::Info => host::Level::Info,
            Level::Debug => host::Level::Debug,
            Level::Trace => host::Level::Trace,
        };
        // Some of it is the configuration's, and none of it may break the line or drive a terminal.
        host::log(level, &printable::text(&record.args().to_string()));
    }

    fn flush(&self) {}
}
