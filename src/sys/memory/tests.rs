#![allow(unsafe_code)]

use super::error::ACCEPT;
use super::placement::hugepage_bytes;
use super::range::{GUARD_BYTES, Range, byte_add, make_present_by_read};
use super::*;
use crate::limits::MAX_NODES;
use crate::profile::OnShortage;
use crate::units::{KIB, MIB};
use nix::errno::Errno;
use nix::libc;
use nix::sys::mman::MapFlags;
use std::fs::File;
use std::os::fd::AsRawFd as _;
use std::path::Path;

fn request(bytes: u64, pages: Pages, on_shortage: OnShortage) -> RegionRequest {
    RegionRequest {
        bytes,
        pages,
        node: Some(0),
        on_shortage,
    }
}

/// Whether the kernel could write one byte there: no signal, whatever the answer.
fn writable(address: *mut u8) -> bool {
    let zero = File::open("/dev/zero").unwrap();
    // SAFETY: the kernel checks the address; a byte that it may write lies in the test's region.
    unsafe { libc::read(zero.as_raw_fd(), address.cast(), 1) == 1 }
}

fn is_mapped(address: *mut u8) -> bool {
    let page = address.map_addr(|address| address & !0xfff);
    let mut present = 0_u8;
    // SAFETY: mincore checks the address and writes one byte for the one page asked about.
    unsafe { libc::mincore(page.cast(), 1, &raw mut present) == 0 }
}

/// First and last byte can be used, the bytes beside them cannot.
#[track_caller]
fn assert_usable_and_guarded(region: &Region) {
    let base = region.base().as_ptr();
    let last = base.wrapping_add(region.len_bytes() - 1);
    for address in [base, last] {
        assert!(writable(address));
        // SAFETY: inside the region, which nobody else uses.
        unsafe { address.write(0x5a) };
        // SAFETY: as above, and just written.
        assert_eq!(unsafe { address.read() }, 0x5a);
    }
    for guard in [
        base.wrapping_sub(1),
        base.wrapping_sub(GUARD_BYTES),
        last.wrapping_add(1),
        last.wrapping_add(GUARD_BYTES),
    ] {
        assert!(is_mapped(guard), "the guard is reserved");
        assert!(!writable(guard), "the guard is inaccessible");
    }
}

#[test]
fn plain_pages_are_present_locked_and_where_they_were_asked_for() {
    let wanted = request(300_000, Pages::Plain, OnShortage::Fallback);
    let region = Region::map(&wanted).unwrap();
    let page = machine_page_bytes();
    assert_eq!(
        region.len_bytes() as u64,
        300_000_u64.next_multiple_of(page)
    );
    assert_eq!(region.kind(), PageKind::Plain);
    assert_usable_and_guarded(&region);
    let placement = region.placement();
    assert_eq!(placement.pages, region.len_bytes() as u64 / page);
    assert!(placement.all_on(0), "{placement:?}");
    assert_eq!(placement.bytes_on(0), region.len_bytes() as u64);
    assert_eq!(region.placement_now(), *placement);
    assert!(region.locked_bytes() == region.len_bytes() as u64 || !region.notes().is_empty());
}

#[test]
fn touching_a_region_faults_no_page() {
    let wanted = request(4 * MIB, Pages::Plain, OnShortage::Fallback);
    let region = Region::map(&wanted).unwrap();
    let before = crate::sys::thread::ThreadUsage::now();
    for offset in (0..region.len_bytes()).step_by(4096) {
        let byte = region.base().as_ptr().wrapping_add(offset);
        // SAFETY: inside the region, which nobody else uses.
        unsafe { byte.write_volatile(1) };
    }
    let usage = crate::sys::thread::ThreadUsage::now().since(&before);
    assert!(usage.minor_faults < 8, "1024 pages were touched: {usage:?}");
    assert_eq!(usage.major_faults, 0);
}

#[test]
fn a_dropped_region_is_unmapped_guards_and_all() {
    let region = Region::map(&request(8 * MIB, Pages::Plain, OnShortage::Fallback)).unwrap();
    let base = region.base().as_ptr();
    let mapped = |base: *mut u8| is_mapped(base.wrapping_add(3 << 20));
    assert!(mapped(base));
    drop(region);
    // Another test may map into the hole; then it is not this region that is found. Eight MiB of
    // one mapping are not likely to be.
    let still = (0..8)
        .filter(|mib| is_mapped(base.wrapping_add(mib << 20)))
        .count();
    assert!(still < 8);
}

#[test]
fn more_hugepages_than_the_machine_has_are_refused_with_the_setting_to_change() {
    let Some(&page_bytes) = hugepool::sizes(Path::new("/")).first() else {
        panic!("this kernel has no hugepages at all");
    };
    let wanted = request(
        1 << 44,
        Pages::Huge { bytes: page_bytes },
        OnShortage::Refuse,
    );
    let error = Region::map(&wanted).unwrap_err();
    let MemoryError::Pool {
        needed, available, ..
    } = error
    else {
        panic!("{error}")
    };
    assert_eq!(needed, (1 << 44) / page_bytes);
    assert!(available < needed);
    let text = error.to_string();
    assert!(text.contains("hugepages="), "{text}");
    assert!(text.contains(&format!("need {needed}")), "{text}");
    assert!(text.ends_with(ACCEPT), "{text}");
}

#[test]
fn hugepages_are_used_where_there_are_some_and_what_stands_in_for_them_is_said() {
    let wanted = request(
        3 * MIB,
        Pages::Huge { bytes: 2 * MIB },
        OnShortage::Fallback,
    );
    let region = Region::map(&wanted).unwrap();
    assert_eq!(region.len_bytes() as u64, 4 * MIB);
    assert_eq!(region.base().as_ptr().addr() % (2 << 20), 0);
    assert_usable_and_guarded(&region);
    assert!(region.placement().all_on(0));
    match region.kind() {
        PageKind::Huge => {
            assert_eq!(region.hugepage_bytes(), 4 * MIB);
            assert_eq!(region.locked_bytes(), 4 * MIB);
            assert_eq!(region.placement().pages, 2);
            assert!(region.notes().is_empty(), "{:?}", region.notes());
        }
        PageKind::Transparent => {
            assert!(region.hugepage_bytes() > 0);
            assert!(region.notes()[0].contains("hugepages of 2048 KiB"));
            assert!(!region.notes()[0].contains("fallback"));
        }
        PageKind::Plain => {
            assert_eq!(region.hugepage_bytes(), 0);
            assert!(
                region
                    .notes()
                    .iter()
                    .any(|note| note.contains("0 of 4096 KiB"))
            );
        }
    }
}

#[test]
fn a_page_size_that_the_kernel_lacks_is_refused_with_those_it_has() {
    let wanted = request(MIB, Pages::Huge { bytes: 128 * KIB }, OnShortage::Refuse);
    let text = Region::map(&wanted).unwrap_err().to_string();
    assert!(
        text.contains("128 KiB") && text.contains("hugepage-kib"),
        "{text}"
    );
}

#[test]
fn a_node_that_does_not_exist_is_refused_whatever_the_profile_says_of_shortage() {
    for node in [MAX_NODES + 500, 5000] {
        let mut wanted = request(MIB, Pages::Plain, OnShortage::Fallback);
        wanted.node = Some(node);
        let error = Region::map(&wanted).unwrap_err();
        assert!(matches!(error, MemoryError::NoSuchNode { .. }), "{error}");
    }
}

#[test]
fn a_request_that_makes_no_sense_is_refused() {
    let sizes = [
        (0, Pages::Plain),
        (u64::MAX, Pages::Plain),
        (u64::MAX - (1 << 13), Pages::Plain),
        (MIB, Pages::Huge { bytes: 3 * MIB }),
        (MIB, Pages::Huge { bytes: 0 }),
    ];
    for (bytes, pages) in sizes {
        let error = Region::map(&request(bytes, pages, OnShortage::Refuse)).unwrap_err();
        assert!(matches!(error, MemoryError::Request(_)), "{error}");
    }
}

#[test]
fn fresh_pages_are_made_present_on_kernels_without_populate_too() {
    let wanted = request(MIB, Pages::Plain, OnShortage::Fallback);
    let range = Range::reserve(&wanted, machine_page_bytes()).unwrap();
    let range = range.commit(MapFlags::empty()).unwrap();
    range.open().unwrap();
    make_present_by_read(range.base, range.len, machine_page_bytes()).unwrap();
    let region = Region::bare(range, PageKind::Plain, machine_page_bytes(), None);
    assert_eq!(region.placement_now().unknown, 0);
    let guard = byte_add(region.range.base, region.range.len);
    assert_eq!(make_present_by_read(guard, 1, 4096), Err(Errno::EFAULT));
}

#[test]
fn huge_bytes_of_smaps_are_summed_over_the_mappings_of_the_region_only() {
    let smaps = "7f0000000000-7f0000400000 rw-p 00000000 00:00 0 \n\
        AnonHugePages:      2048 kB\nPrivate_Hugetlb:       0 kB\n\
        7f0000400000-7f0000600000 rw-p 00000000 00:0f 123 /anon_hugepage (deleted)\n\
        AnonHugePages:         0 kB\nPrivate_Hugetlb:    2048 kB\n\
        7f0000600000-7f0000800000 ---p 00000000 00:00 0 \nAnonHugePages:   2048 kB\n";
    assert_eq!(
        hugepage_bytes(smaps, 0x7f00_0000_0000, 0x7f00_0060_0000),
        4 * MIB
    );
    assert_eq!(
        hugepage_bytes(smaps, 0x7f00_0040_0000, 0x7f00_0060_0000),
        2 * MIB
    );
    assert_eq!(hugepage_bytes(smaps, 0x1000, 0x2000), 0);
}

#[test]
fn a_lock_that_the_limit_forbids_names_both_figures_and_the_setting() {
    let error = LockError {
        operation: "mlockall",
        needed_bytes: 300 * MIB,
        limit_bytes: Some(8 * MIB),
        errno: Errno::ENOMEM,
    };
    let text = error.to_string();
    assert!(text.contains("found 8192 KiB, needed 307200 KiB"), "{text}");
    assert!(text.contains("LimitMEMLOCK=infinity"), "{text}");
}

#[test]
fn locked_memory_is_counted_by_the_kernel() {
    let before = locked_bytes().expect("Linux has /proc");
    let wanted = request(64 * KIB, Pages::Plain, OnShortage::Fallback);
    let region = Region::map(&wanted).unwrap();
    assert!(locked_bytes().unwrap() >= region.locked_bytes(), "{before}");
}
