//! What a request, a configuration and many requests cost a filter in the emulated host: the same
//! numbers in every run.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::policies::Shape;
use super::subject::{Asked, Contestants, Subject};
use super::{BenchError, Guests, Options, load, say};
use e2e::pki::TEAM_A_SPIFFE_ID;
use proxy_wasm_host::{HostOptions, Module, Request, Response, StreamResult, Usage, Vm};

/// How many requests come before the measured one, so that caches are filled and counters are
/// defined.
const WARM_UP: usize = 32;

/// How many requests are sent before the guest's timer runs.
const TICK: u64 = 1_000;

/// The most instructions that watching the guest's memory may take: a filter that needs too many
/// for a request is watched over fewer requests.
const WATCHED_FUEL: u64 = 100_000_000_000;

/// The figures of one filter with one configuration.
#[derive(Debug)]
pub struct Emulated {
    /// Which filter, with which configuration.
    pub subject: Subject,
    /// What loading the configuration cost the guest.
    pub load: Usage,
    /// How long that took here; the one figure of these that differs from run to run.
    pub load_time: Duration,
    /// What a request costs.
    pub requests: Vec<(Asked, Usage)>,
    /// The size of the guest's linear memory, by how many requests it has seen: none, a tenth of
    /// those that it is watched over, and all of them.
    pub memory: BTreeMap<u64, u64>,
}

impl Emulated {
    /// What this request costs.
    #[must_use]
    pub fn request(&self, asked: Asked) -> Option<&Usage> {
        self.requests.iter().find(|(known, _)| *known == asked).map(|(_, usage)| usage)
    }

    /// The size of the guest's memory after a tenth of the requests.
    pub(super) fn warm(&self) -> Option<u64> {
        self.memory.values().nth(1).copied()
    }
}

/// Compiled modules, by file: compiling takes longer than most measurements.
#[derive(Default)]
struct Modules(BTreeMap<PathBuf, Module>);

impl Modules {
    fn get(&mut self, path: &PathBuf) -> Result<Module, BenchError> {
        if let Some(module) = self.0.get(path) {
            return Ok(module.clone());
        }
        let module = Module::load(path)?;
        self.0.insert(path.clone(), module.clone());
        Ok(module)
    }
}

/// What a request costs the workshop's policies: ours with nothing logged, and the floor that does
/// as much.
///
/// # Errors
/// When a filter does not do what it must.
pub fn of_the_workshop(guests: &Guests) -> Result<(Emulated, Emulated), BenchError> {
    let contestants = Contestants::new(guests, &Options::default())?;
    let mut modules = Modules::default();
    let ours = one(&contestants, &mut modules, Subject::Workshop, 0)?;
    Ok((ours, one(&contestants, &mut modules, Subject::FloorBinding, 0)?))
}

/// What a request costs the workshop's policies, the record of a denied one logged.
///
/// # Errors
/// When the filter does not do what it must.
pub fn of_the_record(guests: &Guests) -> Result<Emulated, BenchError> {
    let contestants = Contestants::new(guests, &Options::default())?;
    one(&contestants, &mut Modules::default(), Subject::WorkshopDenied, 0)
}

/// What the workshop's requests cost amid ten thousand policies for others, a quarter of each
/// shape.
///
/// # Errors
/// When the filter does not do what it must.
pub fn amid_many(guests: &Guests) -> Result<Emulated, BenchError> {
    let contestants = Contestants::new(guests, &Options::default())?;
    one(&contestants, &mut Modules::default(), Subject::Amid(10_000), 0)
}

/// Measures every filter.
pub(super) fn measure(
    contestants: &Contestants,
    options: &Options,
) -> Result<Vec<Emulated>, BenchError> {
    let mut modules = Modules::default();
    let mut figures = Vec::new();
    let watched = [
        Subject::Empty,
        Subject::Floor,
        Subject::FloorBinding,
        Subject::WorkshopUnbound,
        Subject::Workshop,
        Subject::WorkshopDenied,
        Subject::WorkshopAll,
        Subject::Macro,
    ];
    for subject in watched {
        figures.push(one(contestants, &mut modules, subject, options.endurance)?);
    }
    for shape in Shape::ALL {
        for others in options.others() {
            say(&format!("  {others} policies for others, {}", shape.name()));
            let subject = Subject::amid(shape, others);
            let largest = shape == Shape::Mixed && others == options.most;
            figures.push(one(
                contestants,
                &mut modules,
                subject,
                if largest { options.endurance } else { 0 },
            )?);
        }
    }
    Ok(figures)
}

fn one(
    contestants: &Contestants,
    modules: &mut Modules,
    subject: Subject,
    endurance: u64,
) -> Result<Emulated, BenchError> {
    let name = subject.name();
    let plugin =
        contestants.plugin(subject).ok_or_else(|| BenchError::other(&name, "is no wasm filter"))?;
    // Fuel is to measure, not to limit.
    let options = HostOptions { canary: false, fuel: 1 << 60, ..HostOptions::default() };
    let vm = Vm::new(&modules.get(&plugin.module)?, options)?;
    let before = Instant::now();
    let configured = vm.configure(&plugin.configuration);
    let load_time = before.elapsed();
    let logs: Vec<&str> = configured.logs.iter().map(|log| log.text.as_str()).collect();
    BenchError::check(
        &name,
        &format!("whether it takes its configuration ({})", logs.join("; ")),
        &true,
        &configured.accepted,
    )?;
    check_caller(&vm, subject)?;
    let mut memory = BTreeMap::from([(0, vm.usage().memory)]);
    let mut requests = Vec::new();
    let asked: &[Asked] =
        if subject.denies() { &[Asked::Allowed, Asked::Denied] } else { &[Asked::Allowed] };
    for asked in asked {
        requests.push((*asked, request(&vm, subject, *asked)?));
    }
    let each = requests.iter().map(|(_, usage)| usage.fuel).max().unwrap_or(1).max(1);
    let endurance =
        if endurance == 0 { 0 } else { endurance.min((WATCHED_FUEL / each / TICK).max(2) * TICK) };
    for number in 1..=endurance {
        let _ = vm.stream(varied(number)).run(Response::new(200));
        if number % TICK == 0 {
            vm.tick();
        }
        if number == endurance / 10 || number == endurance {
            memory.insert(number, vm.usage().memory);
        }
    }
    BenchError::check(&name, "what went wrong in the VM", &None, &vm.failure())?;
    Ok(Emulated { subject, load: configured.usage, load_time, requests, memory })
}

/// What a request costs once the filter has handled some others.
fn request(vm: &Vm, subject: Subject, asked: Asked) -> Result<Usage, BenchError> {
    let run = || vm.stream(plain(asked.path(), TEAM_A_SPIFFE_ID)).run(Response::new(200));
    for _ in 0..WARM_UP {
        check(subject, asked, &run())?;
    }
    vm.tick();
    let result = run();
    check(subject, asked, &result)?;
    Ok(result.usage)
}

/// The figure of a filter that lets a forbidden request pass, or leaves the headers as they are,
/// means nothing.
fn check(subject: Subject, asked: Asked, result: &StreamResult) -> Result<(), BenchError> {
    let name = subject.name();
    let status = result.response_headers.as_ref().and_then(|headers| headers.text(":status"));
    BenchError::check(&name, asked.path(), &Some(subject.status(asked).to_string()), &status)?;
    if subject.status(asked) == 403 {
        let body = String::from_utf8_lossy(&result.response_body).into_owned();
        return BenchError::check(&name, "the body", &"authorization failed".to_owned(), &body);
    }
    let expected = if subject.denies() {
        [Some("team-a/team-a"), Some("agentgateway-egress"), None]
    } else {
        [Some("spoofed/admin"), None, Some("1")]
    };
    for (header, expected) in
        ["x-caller-identity", "x-forwarded-by", "x-internal-debug"].into_iter().zip(expected)
    {
        let got = result
            .request_headers
            .joined(header)
            .map(|value| String::from_utf8_lossy(&value).into_owned());
        BenchError::check(&name, header, &expected.map(str::to_owned), &got)?;
    }
    Ok(())
}

/// Another caller is denied, and so is a host that is not the one dialled where hosts are bound.
fn check_caller(vm: &Vm, subject: Subject) -> Result<(), BenchError> {
    let bound = subject.denies() && !matches!(subject, Subject::Floor | Subject::WorkshopUnbound);
    let elsewhere = Request::new("GET", "httpbingo.org", "/zen").peer_principal(TEAM_A_SPIFFE_ID);
    let elsewhere = elsewhere.property(&["xds", "filter_chain_name"], SERVICE);
    for (what, denied, request) in [
        (
            "another caller",
            subject.denies(),
            plain("/zen", "spiffe://cluster.local/ns/team-b/sa/team-b"),
        ),
        ("another path of the list", false, plain("/repos/x?y=1", TEAM_A_SPIFFE_ID)),
        ("another host than the one dialled", bound, elsewhere),
    ] {
        let result = vm.stream(request).run(Response::new(200));
        let status = result.response_headers.and_then(|headers| headers.text(":status"));
        let expected = if denied { "403" } else { "200" };
        BenchError::check(&subject.name(), what, &Some(expected.to_owned()), &status)?;
    }
    Ok(())
}

const SERVICE: &str = "inbound-vip|80|http|api.github.com";

pub(super) fn plain(path: &str, caller: &str) -> Request {
    let request = Request::new("GET", "api.github.com", path)
        .property(&["xds", "filter_chain_name"], SERVICE)
        .property(&["xds", "cluster_name"], SERVICE)
        .peer_principal(caller);
    load::HEADERS.into_iter().fold(request, |request, (name, value)| request.header(name, value))
}

/// Requests of many callers for many paths, some of them denied, so that whatever is remembered of
/// them would be seen to grow.
fn varied(number: u64) -> Request {
    let caller = match number % 3 {
        0 => format!("spiffe://cluster.local/ns/ns-{number}/sa/sa-{number}"),
        _ => TEAM_A_SPIFFE_ID.to_owned(),
    };
    let path = match number % 5 {
        0 => format!("/users/{number}"),
        1 => "/zen".to_owned(),
        _ => format!("/repos/org-{number}/repo"),
    };
    plain(&path, &caller).header("x-trace", format!("{number}"))
}
