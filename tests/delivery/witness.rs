//! The witness between a child and the kernel (`tests/c/witness.c`): compiled, preloaded, and read.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, mem, process};

/// The compiled library.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/witness.c");
        // Test processes run side by side: what each makes has its name only when it is whole.
        let part = folder.join(format!("witness-{}.part", process::id()));
        let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"];
        let done = Command::new("cc").args(flags).arg(&part).arg(source).arg("-ldl").status().expect("a C compiler");
        assert!(done.success(), "the witness does not compile");
        let library = folder.join("witness.so");
        fs::rename(part, &library).unwrap();
        library
    })
}

/// A file of its own for a log. It and what lies beside it are removed when this is dropped.
pub struct LogFile(PathBuf);

impl LogFile {
    /// A new name.
    pub fn new() -> LogFile {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        LogFile(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("witness-{}-{number}.log", process::id())))
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The file beside it in which a child finds its plan.
    pub fn plan(&self) -> PathBuf {
        self.0.with_extension("plan")
    }

    fn of_connection(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.0.display()))
    }

    /// What it says.
    pub fn read(&self) -> Log {
        let text = fs::read_to_string(&self.0).unwrap_or_else(|e| panic!("{}: {e}", self.0.display()));
        let mut log = Log { text, bytes: BTreeMap::new() };
        for number in 1.. {
            match fs::read(self.of_connection(number)) {
                Ok(bytes) => drop(log.bytes.insert(number, bytes)),
                // A connection of which the kernel took nothing has no file.
                Err(_) if number >= log.connections() => break,
                Err(_) => {}
            }
        }
        log
    }
}

impl Drop for LogFile {
    fn drop(&mut self) {
        if let Ok(text) = fs::read_to_string(&self.0) {
            let connections = text.lines().filter(|line| line.starts_with("connect ")).count();
            (1..=connections).for_each(|number| drop(fs::remove_file(self.of_connection(number))));
            let _ = fs::remove_file(&self.0);
        }
        let _ = fs::remove_file(self.plan());
    }
}

/// All that the witness saw.
pub struct Log {
    text: String,
    bytes: BTreeMap<usize, Vec<u8>>,
}

/// What a connection did within a step.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Counted from 1.
    pub number: usize,
    /// Whether it was made within the step.
    pub is_new: bool,
    /// What the kernel had taken of it before.
    pub before: Vec<u8>,
    /// What it took within the step.
    pub taken: Vec<u8>,
    /// Whether anything was offered to the kernel, and whether it refused.
    pub offered: bool,
    pub refused: bool,
    /// The most bytes that any single call offered.
    pub at_once: usize,
}

/// The calls of the witness' that tell it where a step begins and ends.
pub fn begin_of(step: usize) -> String {
    format!("step {step}")
}

/// As above.
pub fn end_of(step: usize) -> String {
    format!("end {step}")
}

impl Log {
    fn connections(&self) -> usize {
        self.text.lines().filter(|line| line.starts_with("connect ")).count()
    }

    /// How many connections were made before the step, and before those that it used for what came first.
    pub fn connections_before(&self, step: usize) -> usize {
        let Some(before) = step.checked_sub(1) else { return 0 };
        let end = format!("mark {}", end_of(before));
        let lines = self.text.lines().take_while(|line| *line != end);
        lines.filter(|line| line.starts_with("connect ")).count()
    }

    /// What happened between the marks of this step, connection by connection in the order in which they were first used.
    pub fn step(&self, step: usize) -> Vec<Connection> {
        let (begin, end) = (format!("mark {}", begin_of(step)), format!("mark {}", end_of(step)));
        let mut taken: BTreeMap<usize, usize> = BTreeMap::new();
        let mut within: Option<Vec<Connection>> = None;
        for line in self.text.lines() {
            if line == begin {
                within = Some(Vec::new());
            } else if line == end {
                return within.unwrap_or_default();
            }
            let words: Vec<&str> = line.split(' ').collect();
            let number = |index: usize| words[index].parse::<usize>().unwrap_or_else(|e| panic!("{e}: {line}"));
            if !matches!(words[0], "connect" | "send") {
                continue;
            }
            let before = *taken.get(&number(1)).unwrap_or(&0);
            let connection = within.as_mut().map(|connections| {
                let at = connections.iter().position(|connection| connection.number == number(1));
                let at = at.unwrap_or_else(|| {
                    let all = self.bytes.get(&number(1)).map_or(&[][..], Vec::as_slice);
                    let before = all[..before].to_vec();
                    connections.push(Connection { number: number(1), before, ..Connection::default() });
                    connections.len() - 1
                });
                &mut connections[at]
            });
            match (words[0], connection) {
                ("connect", Some(connection)) => connection.is_new = true,
                ("send", connection) => {
                    *taken.entry(number(1)).or_default() += number(3);
                    let Some(connection) = connection else { continue };
                    let all = self.bytes.get(&number(1)).map_or(&[][..], Vec::as_slice);
                    connection.taken.extend_from_slice(&all[before..before + number(3)]);
                    connection.offered = true;
                    connection.at_once = connection.at_once.max(number(2));
                    // A kernel that is full for now (EAGAIN) has not refused.
                    connection.refused |= !matches!(i32::try_from(number(4)).unwrap(), 0 | libc::EAGAIN | libc::EINTR);
                }
                _ => {}
            }
        }
        panic!("the witness did not see the end of step {step}:\n{}", self.text)
    }
}

/// The witness, as the process that it was preloaded into calls it.
pub struct Witness {
    mark: extern "C" fn(*const libc::c_char),
    cut: extern "C" fn(libc::c_int, usize, libc::c_int, libc::c_int),
    pieces: extern "C" fn(usize),
    buffer: extern "C" fn(libc::c_int),
    settle: extern "C" fn(libc::c_int) -> libc::c_int,
}

impl Witness {
    /// The one in this process.
    pub fn here() -> Witness {
        // SAFETY: the functions are those of tests/c/witness.c, which have these types.
        unsafe {
            Witness {
                mark: mem::transmute::<*mut libc::c_void, extern "C" fn(*const libc::c_char)>(found(c"witness_mark")),
                cut: mem::transmute::<*mut libc::c_void, extern "C" fn(libc::c_int, usize, libc::c_int, libc::c_int)>(
                    found(c"witness_cut"),
                ),
                pieces: mem::transmute::<*mut libc::c_void, extern "C" fn(usize)>(found(c"witness_pieces")),
                buffer: mem::transmute::<*mut libc::c_void, extern "C" fn(libc::c_int)>(found(c"witness_buffer")),
                settle: mem::transmute::<*mut libc::c_void, extern "C" fn(libc::c_int) -> libc::c_int>(found(
                    c"witness_settle",
                )),
            }
        }
    }

    /// Counts anew from here.
    pub fn mark(&self, what: &str) {
        let what = std::ffi::CString::new(what).unwrap();
        (self.mark)(what.as_ptr());
    }

    /// The kernel takes so many bytes of each of so many connections (0: of all), then sending fails with this errno; 0 ends it.
    pub fn cut(&self, byte: usize, errno: i32, times: i32) {
        (self.cut)(0, byte, errno, times);
    }

    /// The kernel takes no more than so many bytes at a time; 0 ends it.
    pub fn pieces(&self, most: usize) {
        (self.pieces)(most);
    }

    /// The kernel holds no more than about so many bytes that the peer has not taken; 0 ends it.
    pub fn buffer(&self, most: i32) {
        (self.buffer)(most);
    }

    /// Waits until what the peers do to idle connections has arrived.
    pub fn settle(&self) {
        let patience = libc::c_int::try_from(crate::support::PATIENCE.as_millis()).unwrap();
        assert_eq!((self.settle)(patience), 1, "an idle connection has nothing to read");
    }
}

fn found(name: &CStr) -> *mut libc::c_void {
    // SAFETY: the name is a C string.
    let address = unsafe { libc::dlsym(libc::RTLD_DEFAULT, name.as_ptr()) };
    assert!(!address.is_null(), "the witness is not preloaded");
    address
}
