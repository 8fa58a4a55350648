//! How many instructions of a request each function of a module takes.
//!
//! The module gets a counter for each function, to which every straight run of instructions adds
//! its length when it is entered. The module must have kept its names.

use std::collections::BTreeMap;
use std::path::Path;

use proxy_wasm_host::{HostOptions, Module, Response, Vm};
use walrus::ir::{BinaryOp, Instr, InstrLocId, InstrSeqId, Value};
use walrus::{ConstExpr, FunctionId, FunctionKind, GlobalId, ValType};

use super::emulated::plain;
use super::subject::Contestants;
use super::{Asked, BenchError, Guests, Options, Subject};
use e2e::pki::TEAM_A_SPIFFE_ID;

/// What the names of the counters begin with.
const COUNTER: &str = "instructions of ";
/// How many requests come first, as for the other figures.
const WARM_UP: usize = 32;

/// A function, and how many instructions of one request it takes, without those that it calls.
pub type Taken = (String, u64);

/// What is profiled: the workshop's requests, the denied one with its record too, and the allowed
/// one amid ten thousand other policies.
pub const PROFILED: [(Subject, Asked); 4] = [
    (Subject::Workshop, Asked::Allowed),
    (Subject::Workshop, Asked::Denied),
    (Subject::WorkshopDenied, Asked::Denied),
    (Subject::Amid(10_000), Asked::Allowed),
];

/// Runs a request of the workshop, and gives the functions that took most first.
///
/// # Errors
/// When the module cannot be read, is none, or does not take the configuration.
pub fn of_the_workshop(
    module: &Path,
    subject: Subject,
    asked: Asked,
) -> Result<Vec<Taken>, BenchError> {
    let contestants = Contestants::new(&Guests::build()?, &Options::default())?;
    let configuration = contestants.plugin(subject).map(|plugin| plugin.configuration);
    let counting = Module::from_bytes(&counting(module)?)?;
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(&counting, options)?;
    let accepted = vm.configure(configuration.unwrap_or_default()).accepted;
    BenchError::check("profile", "whether it takes its configuration", &true, &accepted)?;
    let request = || plain(asked.path(), TEAM_A_SPIFFE_ID);
    let run = || drop(vm.stream(request()).run(Response::new(200)));
    (0..WARM_UP).for_each(|_| run());
    vm.tick();
    let before: BTreeMap<String, i64> = vm.globals().into_iter().collect();
    run();
    let mut taken: Vec<Taken> = vm
        .globals()
        .into_iter()
        .filter_map(|(name, count)| {
            let of = name.strip_prefix(COUNTER)?;
            let took = count - before.get(&name).copied().unwrap_or_default();
            (took > 0).then(|| (of.to_owned(), took.unsigned_abs()))
        })
        .collect();
    taken.sort_by(|(one, more), (other, less)| less.cmp(more).then_with(|| one.cmp(other)));
    Ok(taken)
}

/// The module with its counters.
fn counting(path: &Path) -> Result<Vec<u8>, BenchError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        BenchError::other("profile", format!("{}: {error}", path.display()))
    };
    let mut module = walrus::Module::from_file(path).map_err(|error| unreadable(&error))?;
    let functions: Vec<(FunctionId, String)> = module
        .functions()
        .filter(|function| matches!(function.kind, FunctionKind::Local(_)))
        .enumerate()
        .map(|(number, function)| {
            let name = function.name.as_deref().unwrap_or("without a name");
            // Several functions may have one name, as each instance of a generic one has.
            (function.id(), format!("{COUNTER}{name} #{number}"))
        })
        .collect();
    for (id, name) in functions {
        let counter =
            module.globals.add_local(ValType::I64, true, false, ConstExpr::Value(Value::I64(0)));
        module.exports.add(&name, counter);
        count(module.funcs.get_mut(id).kind.unwrap_local_mut(), counter);
    }
    Ok(module.emit_wasm())
}

/// Has a function count its instructions.
fn count(function: &mut walrus::LocalFunction, counter: GlobalId) {
    let mut open = vec![function.entry_block()];
    while let Some(block) = open.pop() {
        let instructions = std::mem::take(&mut function.block_mut(block).instrs);
        let mut counted = Vec::with_capacity(instructions.len() * 2);
        let mut run = Vec::new();
        for (instruction, place) in instructions {
            let within = blocks_of(&instruction);
            // Control may go elsewhere behind these.
            let ends = !within.is_empty() || matches!(instruction, Instr::BrIf(_));
            run.push((instruction, place));
            open.extend(within);
            if ends {
                enter(&mut counted, &mut run, counter);
            }
        }
        enter(&mut counted, &mut run, counter);
        function.block_mut(block).instrs = counted;
    }
}

fn blocks_of(instruction: &Instr) -> Vec<InstrSeqId> {
    match instruction {
        Instr::Block(block) => vec![block.seq],
        Instr::Loop(block) => vec![block.seq],
        Instr::IfElse(both) => vec![both.consequent, both.alternative],
        _ => Vec::new(),
    }
}

/// Writes a run of instructions behind its count.
fn enter(
    counted: &mut Vec<(Instr, InstrLocId)>,
    run: &mut Vec<(Instr, InstrLocId)>,
    counter: GlobalId,
) {
    // What wasmtime charges nothing for.
    let is_free = |instruction: &Instr| {
        matches!(instruction, Instr::Block(_) | Instr::Loop(_) | Instr::Drop(_))
    };
    let length = run.iter().filter(|(instruction, _)| !is_free(instruction)).count();
    if length > 0 {
        let length = Value::I64(i64::try_from(length).unwrap_or(i64::MAX));
        let place = InstrLocId::default();
        counted.extend([
            (Instr::GlobalGet(walrus::ir::GlobalGet { global: counter }), place),
            (Instr::Const(walrus::ir::Const { value: length }), place),
            (Instr::Binop(walrus::ir::Binop { op: BinaryOp::I64Add }), place),
            (Instr::GlobalSet(walrus::ir::GlobalSet { global: counter }), place),
        ]);
    }
    counted.append(run);
}
