//! A checked configuration, for programs that put it in force, as this repository's demo does.

use std::path::PathBuf;

use serde_json::Value;

use crate::choice::{self, Chosen, Unchosen};
use crate::manifest::Manifest;
use crate::terminal::{Color, Terminal};
use crate::yaml::Node;
use crate::{Exit, Failure, bundle, check};

/// The files that a name stands for: itself, or the YAML and JSON files below a folder.
///
/// # Errors
/// If the folder, or one below it, cannot be read.
pub fn files(name: &str) -> std::io::Result<Vec<PathBuf>> {
    match check::inputs(name) {
        Ok(inputs) => Ok(inputs.into_iter().map(|input| input.name.into()).collect()),
        Err(Failure::Read { error, .. }) => Err(error),
        Err(failure) => Err(std::io::Error::other(failure.to_string())),
    }
}

/// Checks a file or a folder as `egressctl check` does, with its output, and returns the one
/// configuration in it as JSON. Of several resources of one kind and name the last counts, as if
/// the files were applied in order.
///
/// Returns `None` if there is an error, or not one configuration; the output says why.
#[must_use]
pub fn check(name: &str) -> Option<Value> {
    let mut terminal = Terminal::new(Color::Auto);
    checked(name, &mut terminal).unwrap_or_else(|failure| {
        terminal.fail(&failure);
        None
    })
}

fn checked(name: &str, terminal: &mut Terminal) -> Result<Option<Value>, Failure> {
    if check::run(&check::Args::of(name), terminal)? == Exit::Findings {
        return Ok(None);
    }
    let inputs = check::inputs(name)?;
    let manifests: Vec<Manifest> = inputs
        .iter()
        .map(|input| bundle::read_whole(&input.name))
        .collect::<Result<_, Failure>>()?;
    let ours = manifests.iter().zip(&inputs).enumerate().flat_map(|(index, (manifest, input))| {
        let plugins = manifest.plugins().into_iter();
        plugins.filter(|plugin| check::is_ours(*plugin, input)).map(move |plugin| (index, plugin))
    });
    let config = match choice::choose_among(ours, None) {
        Ok((_, plugin)) => plugin.config.map(Node::to_json),
        Err(Unchosen::Several(several)) => return Err(not_one(name, &inputs, &several)),
        Err(Unchosen::Nothing | Unchosen::NoSuch(_)) => None,
    };
    let config = config.as_deref().map(serde_json::from_str).transpose();
    config.map_err(|error| Failure::Usage(format!("{name}: {error}")))
}

fn not_one(name: &str, inputs: &[check::Input], several: &[Chosen<'_>]) -> Failure {
    let place = |(index, plugin): &Chosen<'_>| {
        let file = inputs.get(*index).map_or(name, |input| input.name.as_str());
        format!("{} in `{file}`", plugin.title())
    };
    let places: Vec<String> = several.iter().map(place).collect();
    Failure::Usage(format!(
        "`{name}` has several configurations, and one can be in force: {}",
        places.join(", ")
    ))
}
