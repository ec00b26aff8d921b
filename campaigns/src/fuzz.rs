//! Every reader under libFuzzer, which keeps a change of a file where it reaches code that no change before it has
//! reached.
//!
//! A reader has a process of its own, as libFuzzer wants it. A changed file gets the digest of what it is now, so that
//! what reads it is tried, and not the digest alone.

use std::cell::OnceCell;
use std::ffi::{CString, c_char, c_int};
use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode};

use burn::tensor::{Device, Tensor};
use clap::Args;
use example_support::say;
use libfuzzer_sys::fuzz_target;
use tempfile::TempDir;

use crate::damage::{NUMBERS, Outcome, Reader, attempt_resealed, readers};
use crate::folders::scratch;
use crate::tally::Tally;

/// What is tried, and for how long.
#[derive(Debug, Clone, Args)]
pub(crate) struct FuzzArgs {
    /// Seconds for each reader.
    #[arg(long, value_name = "S", default_value_t = 60)]
    seconds: u64,

    /// Only readers with this in their names.
    #[arg(long, value_name = "TEXT", default_value = "")]
    reader: String,

    /// Readers that are tried at the same time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,

    /// Decides the changes.
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    pub(crate) seed: u32,

    /// Where the logs go, what reached new code, from which a later run goes on, and what missed a goal.
    #[arg(long, value_name = "DIR", default_value = "target/fuzz")]
    out: PathBuf,
}

/// One reader, in the process that libFuzzer has for itself.
#[derive(Debug, Clone, Args)]
pub(crate) struct ChildArgs {
    #[arg(long)]
    reader: String,
    /// What libFuzzer is told, in its own form.
    #[arg(last = true)]
    libfuzzer: Vec<String>,
}

/// More memory than any of the files could mean, in MB: a reader that believes a damaged size takes more.
const MEMORY: u32 = 2048;
/// Seconds after which a reader is said to hang.
const PATIENCE: u32 = 60;

pub(crate) fn run(args: &FuzzArgs, tally: &mut Tally) {
    let source = scratch();
    let all = readers(source.path());
    let chosen = all
        .iter()
        .filter(|reader| reader.name.contains(&args.reader));
    let chosen: Vec<&Reader> = chosen.collect();
    if chosen.is_empty() {
        let names: Vec<&str> = all.iter().map(|reader| reader.name).collect();
        return tally.miss(&format!(
            "no reader has `{}` in its name: {}",
            args.reader,
            names.join("; ")
        ));
    }
    tally.set("readers", chosen.len() as u64);
    for group in chosen.chunks(usize::from(args.jobs)) {
        let started: Vec<Started> = group
            .iter()
            .map(|reader| Started::new(reader, args))
            .collect();
        for one in started {
            one.end(tally);
        }
    }
}

/// A reader whose process runs.
struct Started {
    name: &'static str,
    folder: PathBuf,
    process: Child,
}

impl Started {
    fn new(reader: &Reader, args: &FuzzArgs) -> Self {
        let folder = args
            .out
            .join(reader.name.replace(|c: char| !c.is_alphanumeric(), "-"));
        let (sound, corpus) = (folder.join("sound"), folder.join("corpus"));
        for path in [&sound, &corpus] {
            fs::create_dir_all(path).expect("a folder for what is tried");
        }
        for (number, (_, bytes)) in reader.files.iter().enumerate() {
            let input = [&[number as u8], bytes.as_slice()].concat();
            fs::write(sound.join(number.to_string()), input).expect("room for a small file");
        }
        let numbers = NUMBERS.map(|number| format!("\"{number}\"\n")).concat();
        let dictionary = folder.join("numbers.dict");
        fs::write(&dictionary, numbers).expect("room for a small file");
        let log = fs::File::create(folder.join("log")).expect("room for a log");
        let program = std::env::current_exe().expect("the path of this program");
        let process = Command::new(program)
            .args(["fuzz-child", "--reader", reader.name, "--"])
            .arg(format!("-max_total_time={}", args.seconds))
            .arg(format!("-seed={}", args.seed))
            .arg(format!("-rss_limit_mb={MEMORY}"))
            .arg(format!("-timeout={PATIENCE}"))
            .arg(format!("-dict={}", dictionary.display()))
            .arg(format!("-artifact_prefix={}/", folder.display()))
            .args(["-print_final_stats=1", "-use_value_profile=1"])
            .args([corpus, sound])
            .stderr(log)
            .spawn()
            .expect("this program starts");
        Self {
            name: reader.name,
            folder,
            process,
        }
    }

    fn end(mut self, tally: &mut Tally) {
        let status = self.process.wait().expect("a process that was started");
        let log = fs::read(self.folder.join("log")).expect("its log");
        let log = String::from_utf8_lossy(&log);
        let number_after = |what: &str| {
            let line = log.lines().rev().find_map(|line| line.split_once(what))?;
            line.1.split_whitespace().next()?.parse::<u64>().ok()
        };
        let executions = number_after("stat::number_of_executed_units:").unwrap_or(0);
        let reached = number_after(" cov: ").unwrap_or(0);
        tally.progress(&format!(
            "{}: {executions} inputs, {reached} edges",
            self.name
        ));
        tally.trial();
        tally.add("inputs", executions);
        let inputs = format!("inputs: {}", self.name);
        tally.add(&inputs, executions);
        let (name, folder) = (self.name, self.folder.display());
        tally.goal(status.success(), || {
            format!("{name}: {status}, see {folder}/log")
        });
        tally.goal(executions > 0, || {
            format!("{name}: nothing was tried, see {folder}/log")
        });
    }
}

/// The reader of this process, and what its files were made in.
struct Tried {
    reader: Reader,
    _source: TempDir,
}

thread_local! {
    static TRIED: OnceCell<Tried> = const { OnceCell::new() };
}

fuzz_target!(
    // A panic is no end yet: readers catch those of Burn's.
    init: std::panic::set_hook(Box::new(|_| ())),
    |input: &[u8]| -> () { TRIED.with(|tried| one(&tried.get().expect("a reader").reader, input)) }
);

/// Reads what `input` says: a file's number, then its bytes. Ends the process where the goal is missed.
fn one(reader: &Reader, input: &[u8]) {
    let Some((number, bytes)) = input.split_first() else {
        return;
    };
    // What Burn keeps of a model on an autodiff device goes with the next backward pass, of which readers have none.
    let leaf = Tensor::<1>::zeros([1], &Device::flex().autodiff()).require_grad();
    drop(leaf.backward());
    let mut files = reader.files.clone();
    let changed = usize::from(*number) % files.len();
    files[changed].1 = bytes.to_vec();
    let missed = match attempt_resealed(reader, &files, changed) {
        Outcome::Values(_) => return,
        Outcome::Refused(sentence) if sentence.len() > 10 => return,
        Outcome::Refused(sentence) => format!("`{sentence}` is no sentence"),
        Outcome::Panic(message) => format!("panic, {message}"),
    };
    say!("MISSED: {}, {}: {missed}", reader.name, files[changed].0);
    std::process::abort();
}

unsafe extern "C" {
    fn LLVMFuzzerTestOneInput(data: *const u8, size: usize) -> c_int;

    fn LLVMFuzzerRunDriver(
        count: *mut c_int,
        arguments: *mut *mut *mut c_char,
        one: unsafe extern "C" fn(*const u8, usize) -> c_int,
    ) -> c_int;
}

/// Tries one reader until libFuzzer has had enough.
pub(crate) fn child(args: &ChildArgs) -> ExitCode {
    let source = scratch();
    let reader = readers(source.path())
        .into_iter()
        .find(|reader| reader.name == args.reader);
    let tried = Tried {
        reader: reader.expect("a reader of that name"),
        _source: source,
    };
    TRIED.with(|cell| assert!(cell.set(tried).is_ok(), "one reader a process"));
    let arguments = ["campaigns".to_string()]
        .into_iter()
        .chain(args.libfuzzer.clone());
    let arguments: Vec<CString> = arguments
        .map(|text| CString::new(text).expect("no zeros"))
        .collect();
    let mut pointers: Vec<*mut c_char> = arguments
        .iter()
        .map(|text| text.as_ptr().cast_mut())
        .collect();
    let mut count = pointers.len() as c_int;
    pointers.push(std::ptr::null_mut());
    let mut first = pointers.as_mut_ptr();
    // SAFETY: `count` strings that end with a zero and a null pointer after them, as `main` has them, which outlive the
    // call; libFuzzer writes to none of them.
    let status = unsafe { LLVMFuzzerRunDriver(&mut count, &mut first, LLVMFuzzerTestOneInput) };
    ExitCode::from(u8::from(status != 0))
}
