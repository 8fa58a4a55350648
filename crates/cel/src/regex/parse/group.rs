//! Groups: `(...)`, `(?:...)`, `(?P<name>...)` and `(?i)`.

use super::{Flags, Kind, Level, MAX_GROUPS_DEEP, Node, Parser, Wrong};

impl Parser<'_> {
    /// A group behind its opening bracket.
    pub(super) fn open(&mut self) -> Result<(), Wrong> {
        if !self.scanner.take_if("?") {
            let number = self.number();
            return self.begin(Some(number), self.flags);
        }
        let look = ["=", "!", "<=", "<!"];
        if look.iter().any(|look| self.scanner.rest.starts_with(look)) {
            return Err("look-around, including look-ahead and look-behind, is not supported");
        }
        if self.scanner.take_if("P<") || self.scanner.take_if("<") {
            return self.named();
        }
        let spelt = self.scanner.take_while(|c| c != ')' && c != ':');
        let flags = self.flags.changed(spelt)?;
        match self.scanner.take() {
            None => Err("unclosed group"),
            Some(':') => self.begin(None, flags),
            Some(_) if spelt.is_empty() => {
                Err("a group has no flags: expected some of `i`, `m`, `s` and `U`")
            }
            Some(_) => {
                self.flags = flags;
                self.level.last = super::Last::Nothing;
                Ok(())
            }
        }
    }

    fn named(&mut self) -> Result<(), Wrong> {
        let name = self.scanner.take_while(|c| c != '>');
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if !self.scanner.take_if(">") || name.is_empty() || !name.chars().all(legal) {
            return Err(
                "the name of a group is letters, digits and underscores, as in `(?P<name>...)`",
            );
        }
        if self.pattern.names.iter().any(|(known, _)| **known == *name) {
            return Err("two groups have the same name");
        }
        let number = self.number();
        self.pattern.names.push((name.into(), number));
        self.begin(Some(number), self.flags)
    }

    /// The number of the next group that is captured.
    fn number(&mut self) -> usize {
        let number = self.pattern.groups;
        self.pattern.groups = number.saturating_add(1);
        number
    }

    fn begin(&mut self, number: Option<usize>, flags: Flags) -> Result<(), Wrong> {
        if self.around.len() >= MAX_GROUPS_DEEP {
            return Err("groups are nested too deep, the limit is 250");
        }
        let level = Level { number, flags: self.flags, ..Level::default() };
        self.around.push(std::mem::replace(&mut self.level, level));
        self.flags = flags;
        Ok(())
    }

    /// Ends the group of a closing bracket.
    pub(super) fn close(&mut self) -> Result<(), Wrong> {
        let around = self.around.pop().ok_or("unopened group")?;
        let level = std::mem::replace(&mut self.level, around);
        self.flags = level.flags;
        let number = level.number;
        let node = level.into_node();
        let may_be_empty = node.may_be_empty;
        match number {
            Some(number) => self.push(Kind::Group(number, Box::new(node)), may_be_empty),
            None => {
                let Node { kind, may_be_empty } = node;
                self.push(kind, may_be_empty)
            }
        }
    }
}

impl Flags {
    /// The flags after changes such as `i-s`.
    fn changed(mut self, spelt: &str) -> Result<Flags, Wrong> {
        let (on, off) = match spelt.split_once('-') {
            Some((_, "")) => return Err("a group has a `-` with no flag behind it"),
            Some(both) => both,
            None => (spelt, ""),
        };
        for (letters, value) in [(on, true), (off, false)] {
            for letter in letters.chars() {
                let flag = match letter {
                    'i' => &mut self.ignore_case,
                    'm' => &mut self.many_lines,
                    's' => &mut self.dot_is_any,
                    'U' => &mut self.swap_greed,
                    _ => return Err("a group has a flag that is none of `i`, `m`, `s` and `U`"),
                };
                *flag = value;
            }
        }
        Ok(self)
    }
}
