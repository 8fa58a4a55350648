//! Tests, and how they are written in CEL.

/// The longest line that is written where lines can be broken.
const WIDTH: usize = 100;

/// What gives true or false.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Test {
    /// A call or a literal, which a `!` before it negates.
    Call(String),
    /// Something equals a literal.
    Is(String, String),
    /// Something is one of these literals.
    In(String, String),
    /// An empty list has nothing to fail, so it holds.
    All(Vec<Test>),
    Any(Vec<Test>),
    Not(Box<Test>),
}

impl Test {
    /// As CEL, in several lines where it is long.
    pub(super) fn to_cel(&self) -> String {
        let simple = self.simplified();
        let line = simple.to_line();
        if line.len() <= WIDTH { line } else { simple.to_lines(0) }
    }

    /// As CEL in one line.
    pub(super) fn to_line(&self) -> String {
        match self {
            Test::Call(call) => call.clone(),
            Test::Is(subject, literal) => format!("{subject} == {literal}"),
            Test::In(subject, literals) => format!("{subject} in [{literals}]"),
            Test::All(parts) if parts.is_empty() => "true".to_owned(),
            Test::All(parts) => parts.iter().map(Test::as_operand).collect::<Vec<_>>().join(" && "),
            Test::Any(parts) => parts.iter().map(Test::as_operand).collect::<Vec<_>>().join(" || "),
            Test::Not(inner) => match &**inner {
                Test::Call(call) if call.ends_with(')') || call == "true" => format!("!{call}"),
                Test::Is(subject, literal) => format!("{subject} != {literal}"),
                other => format!("!({})", other.to_line()),
            },
        }
    }

    /// Adds brackets where operators beside it would bind more strongly.
    fn as_operand(&self) -> String {
        match self {
            Test::All(parts) | Test::Any(parts) if parts.len() > 1 => {
                format!("({})", self.to_line())
            }
            _ => self.to_line(),
        }
    }

    fn to_lines(&self, indent: usize) -> String {
        let (parts, operator) = match self {
            Test::All(parts) => (parts, "&&"),
            Test::Any(parts) => (parts, "||"),
            _ => return self.to_line(),
        };
        let lines: Vec<String> = parts.iter().map(|part| part.operand_in_lines(indent)).collect();
        lines.join(&format!("\n{:indent$}{operator} ", ""))
    }

    fn operand_in_lines(&self, indent: usize) -> String {
        let line = self.as_operand();
        if line.len().saturating_add(indent) <= WIDTH {
            return line;
        }
        let deeper = indent.saturating_add(2);
        let bracketed = |sign: &str, inner: &Test| {
            format!("{sign}(\n{:deeper$}{}\n{:indent$})", "", inner.to_lines(deeper), "")
        };
        match self {
            Test::All(_) | Test::Any(_) => bracketed("", self),
            Test::Not(inner) if matches!(**inner, Test::All(_) | Test::Any(_)) => {
                bracketed("!", inner)
            }
            _ => line,
        }
    }

    /// The same with tests of one kind in one another put on one level, and those of one part
    /// unwrapped.
    fn simplified(&self) -> Test {
        let flat = |parts: &[Test], all: bool| {
            let mut flat = Vec::new();
            for part in parts.iter().map(Test::simplified) {
                match part {
                    Test::All(inner) if all => flat.extend(inner),
                    Test::Any(inner) if !all => flat.extend(inner),
                    other => flat.push(other),
                }
            }
            flat
        };
        let (all, mut parts) = match self {
            Test::All(parts) => (true, flat(parts, true)),
            Test::Any(parts) => (false, flat(parts, false)),
            Test::Not(inner) => return Test::Not(Box::new(inner.simplified())),
            other => return other.clone(),
        };
        match (parts.pop(), all) {
            (Some(only), _) if parts.is_empty() => only,
            (last, true) => Test::All(parts.into_iter().chain(last).collect()),
            (last, false) => Test::Any(parts.into_iter().chain(last).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str) -> Test {
        Test::Call(name.to_owned())
    }

    #[test]
    fn brackets_stand_where_they_are_needed() {
        let is = || Test::Is("a".to_owned(), "1".to_owned());
        for (test, expected) in [
            (Test::All(vec![]), "true"),
            (
                Test::All(vec![call("f()"), Test::Any(vec![call("g()"), call("h()")])]),
                "f() && (g() || h())",
            ),
            (
                Test::Any(vec![
                    Test::Any(vec![call("f()")]),
                    Test::Any(vec![call("g()"), call("h()")]),
                ]),
                "f() || g() || h()",
            ),
            (Test::Not(Box::new(call("f()"))), "!f()"),
            (Test::Not(Box::new(call("\"x\" in y"))), "!(\"x\" in y)"),
            (Test::Not(Box::new(Test::Any(vec![is()]))), "a != 1"),
            (Test::Not(Box::new(Test::Any(vec![is(), call("f()")]))), "!(a == 1 || f())"),
            (
                Test::All(vec![
                    Test::Not(Box::new(Test::In("a".to_owned(), "1, 2".to_owned()))),
                    call("f()"),
                ]),
                "!(a in [1, 2]) && f()",
            ),
        ] {
            assert_eq!(test.to_cel(), expected);
        }
    }

    #[test]
    fn what_is_long_is_broken_at_its_operators() {
        let long = |name: &str| call(&format!("{name}({})", "x".repeat(40)));
        let test = Test::All(vec![Test::Any(vec![long("a"), long("b"), long("c")]), long("d")]);
        let x = "x".repeat(40);
        assert_eq!(test.to_cel(), format!("(\n  a({x})\n  || b({x})\n  || c({x})\n)\n&& d({x})"));
    }
}
