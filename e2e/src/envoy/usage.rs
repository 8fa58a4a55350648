//! What a process uses, read from `/proc`; so only on Linux.

use std::io;
use std::time::Duration;

/// Linux reports processor time to user space in hundredths of a second, on every architecture of
/// today.
const TICK: Duration = Duration::from_millis(10);

/// User and kernel time of a process with all its threads.
pub(super) fn cpu_time(pid: u32) -> io::Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    parse_cpu_time(&stat).ok_or_else(|| illegal("stat"))
}

/// The name in parentheses may itself hold spaces and parentheses, so fields are counted behind the
/// last one: `utime` and `stime` are fields 14 and 15 of the line, 12th and 13th behind the name.
fn parse_cpu_time(stat: &str) -> Option<Duration> {
    let (_, fields) = stat.rsplit_once(')')?;
    let mut fields = fields.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u32>().ok();
    Some(TICK * ticks()?.checked_add(ticks()?)?)
}

/// The resident memory of a process in bytes.
pub(super) fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))
        .ok_or_else(|| illegal("status"))?;
    let kib: u64 =
        line.trim().trim_end_matches("kB").trim().parse().map_err(|_| illegal("status"))?;
    Ok(kib * 1024)
}

fn illegal(file: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("`/proc/<pid>/{file}` is not as documented"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let stat =
            "7 (wrk:worker) 0 x) S 1 7 7 0 -1 4194560 900 0 0 0 150 50 0 0 20 0 5 0 100 1000 200";
        assert_eq!(parse_cpu_time(stat), Some(Duration::from_secs(2)));
    }
}
