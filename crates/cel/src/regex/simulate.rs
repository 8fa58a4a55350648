//! Runs a program over a text with Pike's algorithm: all threads at once, one character at a time.
//! The time is at most the product of the two sizes, and steps are spent while it runs.

use std::cell::Cell;

use super::Exceeded;
use super::parse::Anchor;
use super::program::{Instruction, Program, Start};
use crate::meter::Allowance;

/// How many instructions of a program cost a step.
const VISITS_A_STEP: u32 = 8;
/// How many instructions are visited before their cost is spent.
const BATCH: u32 = 2048;
/// How many skipped bytes cost as much as an instruction.
const PASSED_A_VISIT: usize = 4;
/// The cost of copying a thread's slots, in instructions; one for each two slots is added.
const COPYING: u32 = 16;
/// The most slots for which the allocation is kept from one match to the next.
const MAX_KEPT: usize = 1 << 14;
/// Texts of this length or more are not matched, because positions are numbers of 32 bits.
const MAX_LENGTH: usize = 1 << 30;
/// From this number on, a match begins with new marks. A text has fewer positions than there are
/// numbers above it.
const LAST_BEFORE_NEW_MARKS: u32 = 1 << 31;

/// The content of a slot that was not set.
pub(super) const NOWHERE: u32 = u32::MAX;

thread_local! {
    /// The allocations that are kept from one match to the next.
    static ROOM: Cell<Option<Box<Room>>> = const { Cell::new(None) };
}

/// The allocations for threads.
#[derive(Default)]
struct Room {
    /// For each instruction, the number of the last position at which a thread reached it.
    marks: Vec<u32>,
    /// The number of the current position, which is never used twice.
    position: u32,
    now: Threads,
    next: Threads,
    /// Instructions that threads split off to.
    todo: Vec<u32>,
    /// The slots of the current thread.
    slots: Vec<u32>,
}

/// Threads, the preferred ones first.
#[derive(Default)]
struct Threads {
    at: Vec<u32>,
    /// The slots of all threads, one after the other.
    slots: Vec<u32>,
}

/// Marks, among the pending instructions, a slot to be restored; its former content comes before
/// it. No program has as many instructions.
const PUT_BACK: u32 = 1 << 31;

/// Whether the program matches anywhere in the text.
pub(super) fn is_match(
    program: &Program,
    text: &str,
    allowance: &Allowance,
) -> Result<bool, Exceeded> {
    run::<false>(program, text, &mut Vec::new(), allowance)
}

/// The slots at the first match, which are where each group begins and ends.
pub(super) fn slots(
    program: &Program,
    text: &str,
    allowance: &Allowance,
) -> Result<Option<Vec<u32>>, Exceeded> {
    let mut noted = Vec::new();
    let found = run::<true>(program, text, &mut noted, allowance)?;
    Ok(found.then_some(noted))
}

/// With `NOTING`, threads set slots. Without it, the groups are not needed.
fn run<const NOTING: bool>(
    program: &Program,
    text: &str,
    noted: &mut Vec<u32>,
    allowance: &Allowance,
) -> Result<bool, Exceeded> {
    if text.len() >= MAX_LENGTH {
        allowance.breach();
        return Err(Exceeded);
    }
    let mut room = ROOM.take().unwrap_or_default();
    room.prepare(program.code.len());
    let width = if NOTING { program.slots } else { 0 };
    let copying = COPYING.saturating_add(u32::try_from(width / 2).unwrap_or(u32::MAX));
    let mut run =
        Run::<NOTING> { program, text, allowance, width, copying, room: &mut room, visits: 0 };
    let found = run.over(noted);
    let spent = spend(allowance, run.visits);
    ROOM.set(Some(room));
    spent.and(found)
}

impl Threads {
    fn clear(&mut self) {
        self.at.clear();
        self.slots.clear();
    }

    /// The slots of the thread of that index.
    fn noted(&self, index: usize, width: usize) -> &[u32] {
        let from = index.wrapping_mul(width);
        self.slots.get(from..from.wrapping_add(width)).unwrap_or_default()
    }
}

impl Room {
    fn prepare(&mut self, instructions: usize) {
        if self.marks.len() < instructions {
            self.marks.resize(instructions, 0);
        }
        if self.position > LAST_BEFORE_NEW_MARKS {
            self.marks.fill(0);
            self.position = 0;
        }
        for threads in [&mut self.now, &mut self.next] {
            threads.clear();
            threads.slots.shrink_to(MAX_KEPT);
        }
        self.todo.clear();
        self.new_position();
    }

    fn new_position(&mut self) {
        self.position = self.position.wrapping_add(1);
    }
}

/// A program at work.
struct Run<'r, const NOTING: bool> {
    program: &'r Program,
    text: &'r str,
    allowance: &'r Allowance,
    /// How many slots each thread has.
    width: usize,
    /// The cost of copying them.
    copying: u32,
    room: &'r mut Room,
    /// Instructions that were not spent yet.
    visits: u32,
}

impl<const NOTING: bool> Run<'_, NOTING> {
    fn count(&mut self, visits: usize) -> Result<(), Exceeded> {
        self.visits = self.visits.saturating_add(u32::try_from(visits).unwrap_or(u32::MAX));
        if self.visits < BATCH {
            Ok(())
        } else {
            spend(self.allowance, std::mem::take(&mut self.visits))
        }
    }

    /// Finds the first match, and leaves its slots in `noted`.
    fn over(&mut self, noted: &mut Vec<u32>) -> Result<bool, Exceeded> {
        let (mut at, mut matched) = (0, false);
        loop {
            if self.room.next.at.is_empty() {
                let start = if matched { None } else { self.next_start(at)? };
                let Some(start) = start else { return Ok(matched) };
                at = start;
                self.room.new_position();
            }
            let character = self.character(at);
            if !matched && self.may_start(at, character) && self.begin(at)? {
                return Ok(true);
            }
            let room = &mut *self.room;
            std::mem::swap(&mut room.now, &mut room.next);
            room.next.clear();
            room.new_position();
            let next = at.wrapping_add(character.map_or(0, char::len_utf8));
            for index in 0..self.room.now.at.len() {
                let Some(instruction) = self.instruction(index) else { break };
                if instruction == Instruction::Found {
                    matched = true;
                    if NOTING {
                        self.room.now.noted(index, self.width).clone_into(noted);
                        note(noted, 1, at);
                    }
                    // The threads behind this one have lower preference.
                    break;
                }
                if let Some(character) = character
                    && self.takes(instruction, character)
                    && self.go_on(index, next)?
                {
                    return Ok(true);
                }
            }
            if character.is_none() {
                return Ok(matched);
            }
            let threads = self.room.now.at.len();
            self.count(threads)?;
            at = next;
        }
    }

    fn character(&self, at: usize) -> Option<char> {
        let byte = *self.text.as_bytes().get(at)?;
        if byte.is_ascii() { Some(char::from(byte)) } else { self.text.get(at..)?.chars().next() }
    }

    /// The first position from this one on where a match may start, given that no thread is left.
    fn next_start(&mut self, at: usize) -> Result<Option<usize>, Exceeded> {
        match self.program.start {
            Start::OfText => Ok((at == 0).then_some(at)),
            Start::Anywhere => Ok(Some(at)),
            Start::At(ascii, others) => {
                let rest = self.text.as_bytes().get(at..).unwrap_or_default();
                // Bytes of 0xc0 and above begin a character, those from 0x80 to 0xbf continue it.
                let starts = |byte: &u8| {
                    if byte.is_ascii() {
                        ascii.contains(u32::from(*byte))
                    } else {
                        others && *byte >= 0xc0
                    }
                };
                let found = rest.iter().position(starts);
                self.count(found.unwrap_or(rest.len()).checked_div(PASSED_A_VISIT).unwrap_or(0))?;
                Ok(found.map(|passed| at.wrapping_add(passed)))
            }
        }
    }

    fn may_start(&self, at: usize, character: Option<char>) -> bool {
        match self.program.start {
            Start::OfText => at == 0,
            Start::Anywhere => true,
            Start::At(ascii, others) => character.is_some_and(|character| {
                if character.is_ascii() { ascii.contains(u32::from(character)) } else { others }
            }),
        }
    }

    fn instruction(&self, thread: usize) -> Option<Instruction> {
        let at = usize::try_from(*self.room.now.at.get(thread)?).ok()?;
        self.program.code.get(at).copied()
    }

    fn takes(&mut self, instruction: Instruction, character: char) -> bool {
        match instruction {
            Instruction::Literal(literal) => literal == character,
            Instruction::Set(index) => {
                let set =
                    usize::try_from(index).ok().and_then(|index| self.program.sets.get(index));
                let Some(set) = set else { return false };
                if !character.is_ascii() {
                    // The range is searched for.
                    self.visits =
                        self.visits.saturating_add(set.ranges().len().checked_ilog2().unwrap_or(0));
                }
                set.contains(character)
            }
            _ => false,
        }
    }

    /// Adds the threads of a match that starts here. Returns whether one of them has already
    /// matched, where no groups are asked for.
    fn begin(&mut self, at: usize) -> Result<bool, Exceeded> {
        if NOTING {
            self.room.slots.clear();
            self.room.slots.resize(self.width, NOWHERE);
            note(&mut self.room.slots, 0, at);
        }
        self.add(0, at)
    }

    /// Adds the threads that follow from one that took a character.
    fn go_on(&mut self, thread: usize, at: usize) -> Result<bool, Exceeded> {
        let room = &mut *self.room;
        if NOTING {
            room.now.noted(thread, self.width).clone_into(&mut room.slots);
        }
        let Some(from) = room.now.at.get(thread).copied() else { return Ok(false) };
        self.add(from.wrapping_add(1), at)
    }

    /// Adds a thread at this instruction, or all that it splits into before one takes a character.
    fn add(&mut self, instruction: u32, at: usize) -> Result<bool, Exceeded> {
        let Room { marks, position, next, todo, slots, .. } = &mut *self.room;
        let code = self.program.code.as_slice();
        let mut visits: u32 = 0;
        let mut from = instruction;
        let found = loop {
            visits = visits.wrapping_add(1);
            let Ok(index) = usize::try_from(from) else { break false };
            let (Some(mark), Some(instruction)) = (marks.get_mut(index), code.get(index)) else {
                break false;
            };
            if *mark != *position {
                *mark = *position;
                match *instruction {
                    Instruction::Jump(to) => {
                        from = to;
                        continue;
                    }
                    Instruction::Split(first, second) => {
                        todo.push(second);
                        from = first;
                        continue;
                    }
                    Instruction::Slot(slot) => {
                        if NOTING
                            && let Some(position) =
                                usize::try_from(slot).ok().and_then(|slot| slots.get_mut(slot))
                        {
                            todo.extend([*position, slot | PUT_BACK]);
                            *position = u32::try_from(at).unwrap_or(NOWHERE);
                        }
                        from = from.wrapping_add(1);
                        continue;
                    }
                    Instruction::Anchor(anchor) => {
                        if holds(anchor, self.text.as_bytes(), at) {
                            from = from.wrapping_add(1);
                            continue;
                        }
                    }
                    Instruction::Found if !NOTING => break true,
                    Instruction::Found | Instruction::Literal(_) | Instruction::Set(_) => {
                        next.at.push(from);
                        if NOTING {
                            next.slots.extend_from_slice(slots);
                            visits = visits.wrapping_add(self.copying);
                            // With many groups, many slots are set at one position.
                            if visits >= BATCH {
                                spend(self.allowance, std::mem::take(&mut visits))?;
                            }
                        }
                    }
                }
            }
            // The thread waits or has ended. The next one that was split off follows.
            match next_to_do::<NOTING>(todo, slots) {
                Some(other) => from = other,
                None => break false,
            }
        };
        self.visits = self.visits.wrapping_add(visits);
        Ok(found)
    }
}

/// The next pending instruction. Slots that must be restored before it are.
#[inline]
fn next_to_do<const NOTING: bool>(todo: &mut Vec<u32>, slots: &mut [u32]) -> Option<u32> {
    loop {
        let next = todo.pop()?;
        if !NOTING || next & PUT_BACK == 0 {
            return Some(next);
        }
        put(slots, usize::try_from(next ^ PUT_BACK).unwrap_or(usize::MAX), todo.pop()?);
    }
}

/// Spends the steps for so many instructions.
#[cold]
fn spend(allowance: &Allowance, visits: u32) -> Result<(), Exceeded> {
    let steps = visits.div_ceil(VISITS_A_STEP);
    if allowance.spend(u64::from(steps)) { Ok(()) } else { Err(Exceeded) }
}

fn note(slots: &mut [u32], slot: usize, at: usize) {
    put(slots, slot, u32::try_from(at).unwrap_or(NOWHERE));
}

fn put(slots: &mut [u32], slot: usize, value: u32) {
    if let Some(position) = slots.get_mut(slot) {
        *position = value;
    }
}

/// Whether an anchor holds at a position. Words are of ASCII's letters, digits and the underscore.
fn holds(anchor: Anchor, text: &[u8], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|before| text.get(before));
    let behind = text.get(at);
    let is_word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    let is_feed = |byte: Option<&u8>| byte.is_none_or(|byte| *byte == b'\n');
    match anchor {
        Anchor::TextStart => before.is_none(),
        Anchor::TextEnd => behind.is_none(),
        Anchor::LineStart => is_feed(before),
        Anchor::LineEnd => is_feed(behind),
        Anchor::WordEdge => is_word(before) != is_word(behind),
        Anchor::NoWordEdge => is_word(before) == is_word(behind),
    }
}
