//! A number for each process, by which a forked child recognises itself.
//!
//! The code is unsafe because no safe crate offers `MADV_WIPEONFORK` on a mapping that is then read
//! as an atomic.

#![allow(unsafe_code)]

#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

/// Returns a number that no ancestor of this process has.
///
/// On Linux the number is in a page that the kernel wipes in a forked child. Reading it takes no
/// system call, and it differs between a child and its parent even when both have the same process
/// id, in two PID namespaces. Elsewhere, and on kernels older than 4.14, it is the process id.
pub fn process_number() -> u32 {
    #[cfg(target_os = "linux")]
    if let Some(page) = wiped_page() {
        /// The last number assigned, in this process or in an ancestor.
        static LAST: AtomicU32 = AtomicU32::new(0);
        let number = page.load(Ordering::Acquire);
        if number != 0 {
            return number;
        }
        let next = LAST.fetch_add(1, Ordering::Relaxed) + 1;
        return page
            .compare_exchange(0, next, Ordering::AcqRel, Ordering::Acquire)
            .map_or_else(|existing| existing, |_| next);
    }
    std::process::id()
}

/// Returns a page of memory that is all zeroes in a child after a fork. It is mapped on first use
/// and never unmapped.
#[cfg(target_os = "linux")]
fn wiped_page() -> Option<&'static AtomicU32> {
    /// NULL before the first use, `UNAVAILABLE` if the kernel has no such pages.
    static PAGE: AtomicPtr<AtomicU32> = AtomicPtr::new(std::ptr::null_mut());
    const UNAVAILABLE: *mut AtomicU32 = std::ptr::dangling_mut();
    const PAGE_BYTES: usize = 4096;
    let mut page = PAGE.load(Ordering::Acquire);
    if page.is_null() {
        // SAFETY: this is a new mapping, and no other code has its address. Some emulators accept
        // any madvise() value without acting on it: probe with an invalid one first.
        page = unsafe {
            let (access, kind) = (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_PRIVATE | libc::MAP_ANONYMOUS);
            let new = libc::mmap(std::ptr::null_mut(), PAGE_BYTES, access, kind, -1, 0);
            if new == libc::MAP_FAILED {
                UNAVAILABLE
            } else if libc::madvise(new, PAGE_BYTES, -1) == 0
                || libc::madvise(new, PAGE_BYTES, libc::MADV_WIPEONFORK) != 0
            {
                libc::munmap(new, PAGE_BYTES);
                UNAVAILABLE
            } else {
                new.cast()
            }
        };
        if let Err(existing) = PAGE.compare_exchange(std::ptr::null_mut(), page, Ordering::AcqRel, Ordering::Acquire) {
            if page != UNAVAILABLE {
                // SAFETY: it came from mmap above, and no other thread has seen it.
                unsafe { libc::munmap(page.cast(), PAGE_BYTES) };
            }
            page = existing;
        }
    }
    // SAFETY: it is a mapped page, aligned and zeroed, and it is never unmapped.
    (page != UNAVAILABLE).then(|| unsafe { &*page })
}
