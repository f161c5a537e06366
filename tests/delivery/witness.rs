//! Compiles the witness between a child and the kernel (`tests/c/witness.c`), and reads its log.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{fs, mem, process};

/// Returns the compiled library.
pub fn library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/c/witness.c");
        // Test processes run in parallel: rename the library only when it is complete.
        let part = folder.join(format!("witness-{}.part", process::id()));
        let flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-O1", "-shared", "-fPIC", "-o"];
        let done = Command::new("cc").args(flags).arg(&part).arg(source).arg("-ldl").status().expect("a C compiler");
        assert!(done.success(), "the witness does not compile");
        let library = folder.join("witness.so");
        fs::rename(part, &library).unwrap();
        library
    })
}

/// A log file. Dropping it removes the file and those with the same prefix.
pub struct LogFile(PathBuf);

impl LogFile {
    /// Returns a file with a new name.
    pub fn new() -> LogFile {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        LogFile(Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("witness-{}-{number}.log", process::id())))
    }

    /// Returns the path of the file.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Returns the path of the file with the plan for the child.
    pub fn plan(&self) -> PathBuf {
        self.0.with_extension("plan")
    }

    fn of_connection(&self, number: usize) -> PathBuf {
        PathBuf::from(format!("{}.{number}", self.0.display()))
    }

    /// Reads the log.
    pub fn read(&self) -> Log {
        let text = fs::read_to_string(&self.0).unwrap_or_else(|e| panic!("{}: {e}", self.0.display()));
        let mut log = Log { text, bytes: BTreeMap::new() };
        for number in 1.. {
            match fs::read(self.of_connection(number)) {
                Ok(bytes) => drop(log.bytes.insert(number, bytes)),
                // There is no file if the kernel took nothing of the connection.
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

/// The log of the witness.
pub struct Log {
    text: String,
    bytes: BTreeMap<usize, Vec<u8>>,
}

/// The events of a connection within a step.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// Counted from 1.
    pub number: usize,
    /// Whether the connection was made within the step.
    pub is_new: bool,
    /// The bytes that the kernel had taken before.
    pub before: Vec<u8>,
    /// The bytes that the kernel took within the step.
    pub taken: Vec<u8>,
    /// Whether bytes were offered to the kernel, and whether it refused.
    pub offered: bool,
    pub refused: bool,
    /// The most bytes that any single call offered.
    pub at_once: usize,
}

/// Returns the mark at the beginning of a step.
pub fn begin_of(step: usize) -> String {
    format!("step {step}")
}

/// Returns the mark at the end of a step.
pub fn end_of(step: usize) -> String {
    format!("end {step}")
}

impl Log {
    fn connections(&self) -> usize {
        self.text.lines().filter(|line| line.starts_with("connect ")).count()
    }

    /// Returns how many connections were made before the step and its healthy calls.
    pub fn connections_before(&self, step: usize) -> usize {
        let Some(before) = step.checked_sub(1) else { return 0 };
        let end = format!("mark {}", end_of(before));
        let lines = self.text.lines().take_while(|line| *line != end);
        lines.filter(|line| line.starts_with("connect ")).count()
    }

    /// Returns the connections between the marks of this step, in the order of their first use.
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
                    // EAGAIN is not a refusal: the buffer is full for now.
                    connection.refused |= !matches!(i32::try_from(number(4)).unwrap(), 0 | libc::EAGAIN | libc::EINTR);
                }
                _ => {}
            }
        }
        panic!("the witness did not see the end of step {step}:\n{}", self.text)
    }
}

/// The functions of the witness, for the process into which it is preloaded.
pub struct Witness {
    mark: extern "C" fn(*const libc::c_char),
    cut: extern "C" fn(libc::c_int, usize, libc::c_int, libc::c_int),
    pieces: extern "C" fn(usize),
    buffer: extern "C" fn(libc::c_int),
    settle: extern "C" fn(libc::c_int) -> libc::c_int,
}

impl Witness {
    /// Returns the witness of this process.
    pub fn here() -> Witness {
        // SAFETY: tests/c/witness.c defines these functions with these types.
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

    /// Sets a mark, from which the bytes are counted.
    pub fn mark(&self, what: &str) {
        let what = std::ffi::CString::new(what).unwrap();
        (self.mark)(what.as_ptr());
    }

    /// Makes sending fail with this errno after `byte` bytes, on `times` connections (0: all). An
    /// errno of 0 ends it.
    pub fn cut(&self, byte: usize, errno: i32, times: i32) {
        (self.cut)(0, byte, errno, times);
    }

    /// Makes the kernel take at most this many bytes at a time; 0 ends it.
    pub fn pieces(&self, most: usize) {
        (self.pieces)(most);
    }

    /// Makes the kernel hold at most about this many bytes that the peer has not taken; 0 ends it.
    pub fn buffer(&self, most: i32) {
        (self.buffer)(most);
    }

    /// Waits until the peers' actions on idle connections have arrived.
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
