//! A pattern as a program: Thompson's automaton, over characters.

use super::parse::{Anchor, Kind, Node, Pattern, Repetition};
use super::set::{Ascii, Set};

/// What a thread does at an instruction. Unless it says otherwise, it goes on with the
/// next instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    /// Takes this character.
    Literal(char),
    /// Takes a character of the set of this number.
    Set(u32),
    /// Goes on only where this holds.
    Anchor(Anchor),
    /// Stores the current position in a slot.
    Slot(u32),
    /// Goes on at both, preferring the first.
    Split(u32, u32),
    /// Goes on there.
    Jump(u32),
    /// The pattern matches.
    Found,
}

/// A compiled pattern.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) code: Vec<Instruction>,
    pub(super) sets: Vec<Set>,
    pub(super) names: Vec<(Box<str>, usize)>,
    /// How many bytes were taken to find other cases of characters.
    pub(super) folded: usize,
    /// Two for each group, the whole as the first.
    pub(super) slots: usize,
    pub(super) start: Start,
}

/// Where a match can start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Start {
    /// Only at the start of the text.
    OfText,
    /// At one of these ASCII characters, or, if the flag is set, at any character that is not
    /// ASCII.
    At(Ascii, bool),
    /// Anywhere: it may be empty.
    Anywhere,
}

/// A pattern exceeds the limit.
#[derive(Debug)]
pub(super) struct TooLarge;

/// What an instruction, a set of characters and each of its ranges count, in bytes. The numbers do
/// not depend on the machine, so that egressctl and the filter accept the same patterns.
const INSTRUCTION: usize = 12;
const SET: usize = 32;
const RANGE: usize = 8;

impl Program {
    /// Compiles a pattern to at most so many bytes.
    pub(super) fn of(pattern: Pattern, limit: usize) -> Result<Program, TooLarge> {
        let Pattern { root, sets, names, groups, folded } = pattern;
        let fixed = sets_size(&sets);
        let most = limit.checked_sub(fixed).ok_or(TooLarge)?.checked_div(INSTRUCTION).unwrap_or(0);
        let mut compiler = Compiler { code: Vec::new(), most };
        compiler.node(&root)?;
        compiler.emit(Instruction::Found)?;
        let mut code = compiler.code;
        code.shrink_to_fit();
        let start = start(&code, &sets);
        Ok(Program { code, sets, names, folded, slots: groups.saturating_mul(2), start })
    }

    /// How many bytes it takes, and took during compilation.
    pub(super) fn size(&self) -> usize {
        sets_size(&self.sets)
            .saturating_add(self.code.len().saturating_mul(INSTRUCTION))
            .saturating_add(self.folded)
    }
}

fn sets_size(sets: &[Set]) -> usize {
    let size = |set: &Set| set.ranges().len().saturating_mul(RANGE).saturating_add(SET);
    sets.iter().map(size).fold(0, usize::saturating_add)
}

struct Compiler {
    code: Vec<Instruction>,
    /// The most instructions.
    most: usize,
}

type Compiled = Result<(), TooLarge>;

impl Compiler {
    /// The number of the next instruction. No program is so long that it has none.
    fn here(&self) -> u32 {
        u32::try_from(self.code.len()).unwrap_or(u32::MAX)
    }

    fn emit(&mut self, instruction: Instruction) -> Compiled {
        if self.code.len() >= self.most {
            return Err(TooLarge);
        }
        self.code.push(instruction);
        Ok(())
    }

    /// A split whose second way is set later, by [`Compiler::land`].
    fn split(&mut self) -> Result<usize, TooLarge> {
        let at = self.code.len();
        self.emit(Instruction::Split(self.here().saturating_add(1), u32::MAX))?;
        Ok(at)
    }

    /// Sets the second way of the split, or the target of the jump, at `at` to the next
    /// instruction.
    fn land(&mut self, at: usize, lazy: bool) {
        let here = self.here();
        match self.code.get_mut(at) {
            Some(Instruction::Split(first, second)) => {
                *second = here;
                if lazy {
                    std::mem::swap(first, second);
                }
            }
            Some(Instruction::Jump(to)) => *to = here,
            _ => {}
        }
    }

    fn node(&mut self, node: &Node) -> Compiled {
        match &node.kind {
            Kind::Empty => Ok(()),
            Kind::Literal(literal) => self.emit(Instruction::Literal(*literal)),
            Kind::Set(index) => {
                self.emit(Instruction::Set(u32::try_from(*index).unwrap_or(u32::MAX)))
            }
            Kind::Anchor(anchor) => self.emit(Instruction::Anchor(*anchor)),
            Kind::Group(number, inside) => {
                let slot = u32::try_from(number.saturating_mul(2)).unwrap_or(u32::MAX);
                self.emit(Instruction::Slot(slot))?;
                self.node(inside)?;
                self.emit(Instruction::Slot(slot.saturating_add(1)))
            }
            Kind::All(parts) => parts.iter().try_for_each(|part| self.node(part)),
            Kind::Either(alternatives) => self.either(alternatives),
            Kind::Repeat(inside, repetition) => self.repeat(inside, *repetition),
        }
    }

    fn either(&mut self, alternatives: &[Node]) -> Compiled {
        let Some((last, earlier)) = alternatives.split_last() else { return Ok(()) };
        let mut ends = Vec::with_capacity(earlier.len());
        for alternative in earlier {
            let split = self.split()?;
            self.node(alternative)?;
            ends.push(self.code.len());
            self.emit(Instruction::Jump(u32::MAX))?;
            self.land(split, false);
        }
        self.node(last)?;
        ends.into_iter().for_each(|end| self.land(end, false));
        Ok(())
    }

    fn repeat(&mut self, inside: &Node, Repetition { least, most, lazy }: Repetition) -> Compiled {
        match most {
            Some(most) => {
                self.times(inside, least)?;
                let mut splits = Vec::new();
                for _ in least..most {
                    splits.push(self.split()?);
                    self.node(inside)?;
                }
                splits.into_iter().for_each(|split| self.land(split, lazy));
                Ok(())
            }
            None if least > 0 => {
                self.times(inside, least.saturating_sub(1))?;
                self.once_or_more(inside, lazy)
            }
            // A part that may be empty must run before the split that repeats it. Otherwise a way
            // of lower preference that takes characters is lost behind one that takes none.
            None if inside.may_be_empty => {
                let split = self.split()?;
                self.once_or_more(inside, lazy)?;
                self.land(split, lazy);
                Ok(())
            }
            None => {
                let begin = self.here();
                let split = self.split()?;
                self.node(inside)?;
                self.emit(Instruction::Jump(begin))?;
                self.land(split, lazy);
                Ok(())
            }
        }
    }

    fn times(&mut self, inside: &Node, count: u32) -> Compiled {
        for _ in 0..count {
            let before = self.code.len();
            self.node(inside)?;
            if self.code.len() == before {
                // Repeating an empty part is an empty part.
                break;
            }
        }
        Ok(())
    }

    fn once_or_more(&mut self, inside: &Node, lazy: bool) -> Compiled {
        let begin = self.here();
        self.node(inside)?;
        let behind = self.here().saturating_add(1);
        self.emit(if lazy {
            Instruction::Split(behind, begin)
        } else {
            Instruction::Split(begin, behind)
        })
    }
}

/// Where a match of a program can start.
fn start(code: &[Instruction], sets: &[Set]) -> Start {
    if beginnings(code, false).is_empty() {
        return Start::OfText;
    }
    let (mut ascii, mut others) = (Ascii::default(), false);
    for beginning in beginnings(code, true) {
        match beginning {
            Instruction::Literal(literal) => {
                let set = Set::of(vec![(u32::from(literal), u32::from(literal))]);
                (ascii, others) = (ascii.or(set.ascii()), others | set.is_beyond_ascii());
            }
            Instruction::Set(index) => {
                let Some(set) = usize::try_from(index).ok().and_then(|index| sets.get(index))
                else {
                    continue;
                };
                (ascii, others) = (ascii.or(set.ascii()), others | set.is_beyond_ascii());
            }
            _ => return Start::Anywhere,
        }
    }
    Start::At(ascii, others)
}

/// The instructions that a match can begin with: those that take a character, and the last one.
/// Anchors count as satisfied, except the start of the text unless `at_start`.
fn beginnings(code: &[Instruction], at_start: bool) -> Vec<Instruction> {
    let mut seen = vec![false; code.len()];
    let (mut todo, mut found) = (vec![0_u32], Vec::new());
    while let Some(at) = todo.pop() {
        let Ok(index) = usize::try_from(at) else { continue };
        let (Some(seen), Some(instruction)) = (seen.get_mut(index), code.get(index)) else {
            continue;
        };
        if std::mem::replace(seen, true) {
            continue;
        }
        match *instruction {
            Instruction::Literal(_) | Instruction::Set(_) | Instruction::Found => {
                found.push(*instruction)
            }
            Instruction::Anchor(Anchor::TextStart) if !at_start => {}
            Instruction::Anchor(_) | Instruction::Slot(_) => todo.push(at.saturating_add(1)),
            Instruction::Split(first, second) => todo.extend([first, second]),
            Instruction::Jump(to) => todo.push(to),
        }
    }
    found
}
