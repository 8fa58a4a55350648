//! Evaluates a part of an expression by itself, with the values that the macros around it give to
//! their names: for explanations.

use std::cell::{Cell, RefCell};

use super::{Elements, Program, Run, Scene, Value};
use crate::run::Evaluated;

impl Program {
    /// Evaluates a part, and looks at its outcome. `given` are the values of the names that it was
    /// compiled within, in their order; nothing for those that are evaluated when they are first
    /// read.
    pub(crate) fn part<'p, T>(
        &'p self,
        scene: Scene<'p>,
        given: &[Option<Value<'p>>],
        look: impl FnOnce(&Run<'_, 'p>, Evaluated<'p, Value<'p>>) -> T,
    ) -> T {
        let mut locals = Vec::new();
        locals.resize_with(self.places.max(given.len()), || RefCell::new(None));
        let last = Cell::new(None);
        let run = Run { scene, bound: &self.bound, locals: &locals, last };
        for (place, value) in given.iter().enumerate() {
            run.set(place, value.clone().map(Ok));
        }
        let outcome = run.eval(&self.root);
        look(&run, outcome)
    }
}

impl<'p> Run<'_, 'p> {
    /// Whether the name of a place has a value, because one was given or it has been read.
    pub(crate) fn has(&self, place: usize) -> bool {
        self.get(place).is_some()
    }

    /// What a loop over a value visits: the elements of a list, or the keys of a map.
    pub(crate) fn visited(&self, range: &Value<'p>) -> Option<Vec<Value<'p>>> {
        let elements: Elements<'p> = self.elements(range.clone()).ok()?;
        (0..elements.len()).map(|index| elements.get(index)).collect()
    }

    /// The element of an index, or the value of a key, if it can be read.
    pub(crate) fn found_at(&self, of: &Value<'p>, key: &Value<'p>) -> Option<Value<'p>> {
        self.at(of, key).ok().flatten()
    }
}
