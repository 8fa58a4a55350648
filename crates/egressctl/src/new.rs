//! `egressctl new`: a recipe of the documents, as files to start from.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::Path;

use egress_filter::suggest::did_you_mean;

use crate::terminal::{STRONG, Terminal, painted};
use crate::{Exit, Failure};

/// The page that has the recipes, each with its cases.
const PAGE: &str = include_str!("../../../docs/recipes.md");

/// The recipes: their names here, and their titles there.
const RECIPES: [(&str, &str); 18] = [
    ("path", "A team may call one path of one host"),
    ("read-only", "Everybody may read from some hosts"),
    ("git-push", "Build jobs may push to one organisation's repositories"),
    ("listed-hosts", "Deny hosts that are not listed"),
    ("variables", "Name a caller or a list once"),
    ("shadow", "Try a narrower rule before it is enforced"),
    ("headers", "Tell the origin who calls, and send no cookies"),
    ("token", "Use a token that no pod has"),
    ("user-token", "A user's token beside the workload's certificate"),
    ("addresses", "Only from some addresses"),
    ("office-hours", "Only in office hours"),
    ("exception", "An exception that ends by itself"),
    ("maintenance", "A maintenance page"),
    ("mock", "A mock for a test environment"),
    ("moved-path", "A stable path for an API that moved"),
    ("new-host", "From http to https"),
    ("ticket", "A ticket number for dangerous calls"),
    ("no-secrets", "No card numbers and no private keys"),
];

/// Writes a recipe as a file of policies and a file of cases, to start from; without a name, lists
/// the recipes.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:

  egressctl new
  egressctl new git-push --to egress/
  egressctl test egress/cases.yaml

The recipes are those of docs/recipes.md, where each is explained.")]
pub(crate) struct Args {
    /// The recipe.
    #[arg(value_name = "RECIPE")]
    recipe: Option<String>,
    /// The folder that gets `policy.yaml` and `cases.yaml`, which must not be there yet; without
    /// it, one file with both is printed.
    #[arg(long, value_name = "FOLDER", requires = "recipe")]
    to: Option<String>,
}

pub(crate) fn run(args: &Args, terminal: &mut Terminal) -> Result<Exit, Failure> {
    let Some(wanted) = &args.recipe else {
        for (name, title) in RECIPES {
            writeln!(terminal.out, "{}  {title}", painted(STRONG, format_args!("{name:<14}")))?;
        }
        return Ok(Exit::Success);
    };
    let Some((_, title)) = RECIPES.iter().find(|(name, _)| name == wanted) else {
        let hint = did_you_mean(wanted, RECIPES.map(|(name, _)| name));
        return Err(Failure::Usage(format!(
            "there is no recipe `{}`{hint}: `egressctl new` lists them",
            wanted.escape_debug()
        )));
    };
    let recipe = Recipe::of(title)
        .ok_or_else(|| Failure::Usage(format!("the recipe `{wanted}` cannot be read")))?;
    let Some(folder) = &args.to else {
        terminal.write_data(&recipe.whole)?;
        return Ok(Exit::Success);
    };
    let folder = Path::new(folder);
    std::fs::create_dir_all(folder)?;
    for (name, text) in [("policy.yaml", &recipe.policy), ("cases.yaml", &recipe.cases)] {
        let path = folder.join(name);
        let cannot = |error: std::io::Error| {
            Failure::Usage(format!("cannot write `{}`: {error}", path.display()))
        };
        let mut file =
            OpenOptions::new().write(true).create_new(true).open(&path).map_err(cannot)?;
        file.write_all(text.as_bytes()).map_err(cannot)?;
        writeln!(terminal.err, "{}", path.display())?;
    }
    writeln!(terminal.err, "\n  egressctl test {}", folder.join("cases.yaml").display())?;
    Ok(Exit::Success)
}

/// A recipe, as one file and as two.
#[derive(Debug)]
struct Recipe {
    /// The cases, with the policies among them.
    whole: String,
    policy: String,
    /// The cases, which name the file of policies.
    cases: String,
}

impl Recipe {
    /// The recipe with this title: the YAML below it.
    fn of(title: &str) -> Option<Recipe> {
        let (_, section) = PAGE.split_once(&format!("\n## {title}\n"))?;
        let section = section.split("\n## ").next()?;
        let (_, rest) = section.split_once("```yaml\n")?;
        let (whole, _) = rest.split_once("```")?;
        let (before, rest) = whole.split_once("config:\n")?;
        // What is under `config` is indented.
        let lines = rest.split_inclusive('\n');
        let under: Vec<&str> =
            lines.take_while(|line| line.starts_with("  ") || line.trim().is_empty()).collect();
        let length = under.iter().map(|line| line.len()).fold(0, usize::saturating_add);
        let after = rest.get(length..)?;
        let policy = under.iter().map(|line| line.strip_prefix("  ").unwrap_or(line));
        Some(Recipe {
            whole: whole.to_owned(),
            policy: format!("# {title}.\n{}", policy.collect::<String>()),
            cases: format!("{before}policies: policy.yaml\n{after}"),
        })
    }
}
