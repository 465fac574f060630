use super::*;
use nix::sys::mman;

fn spec(name: &str, cores: CoreSet) -> ThreadSpec {
    ThreadSpec {
        name: name.to_owned(),
        cores,
        policy: Policy::Other,
        children: Children::Reset,
        policy_required: true,
        stack_bytes: 256 << 10,
    }
}

fn some_core() -> usize {
    current_cores().unwrap().first().unwrap()
}

#[test]
fn a_thread_pins_itself_reports_and_hands_back_its_result() {
    let core = some_core();
    let spawned = spawn(
        spec("pinned-for-a-test", CoreSet::single(core)),
        move |placed| {
            assert_eq!(current_cores().unwrap(), CoreSet::single(core));
            assert_eq!(sched_getcpu().unwrap(), core);
            let comm = std::fs::read_to_string("/proc/thread-self/comm").unwrap();
            assert_eq!(comm.trim_end(), "pinned-for-a-te");
            (placed.clone(), gettid().as_raw())
        },
    )
    .unwrap();
    let placed = spawned.placed.clone();
    assert_eq!(placed.name, "pinned-for-a-test");
    assert_eq!((placed.core, placed.policy), (core, Policy::Other));
    assert!(placed.mask_verified && placed.policy_denied.is_none());
    let (seen, tid) = spawned.join().unwrap();
    assert_eq!((seen, tid), (placed.clone(), placed.tid));
}

#[test]
fn a_set_of_cores_is_read_back_whole() {
    let cores = current_cores().unwrap();
    let spawned = spawn(spec("set", cores), move |_| current_cores().unwrap()).unwrap();
    assert_eq!(spawned.placed.cores, cores);
    assert_eq!(spawned.join().unwrap(), cores);
}

#[test]
fn a_core_that_does_not_exist_is_an_error_that_names_the_ones_that_do() {
    let error = spawn(spec("nowhere", CoreSet::single(1000)), |_| ()).unwrap_err();
    let text = error.to_string();
    assert!(
        matches!(
            error,
            ThreadError::Pin {
                errno: Errno::EINVAL,
                ..
            }
        ),
        "{text}"
    );
    assert!(
        text.contains("core 1000") && text.contains(&some_core().to_string()),
        "{text}"
    );
    let error = spawn(spec("nowhere", CoreSet::default()), |_| ()).unwrap_err();
    assert!(matches!(error, ThreadError::Pin { .. }), "{error}");
    // The kernel drops cores that it does not have without a word; the mask shows it.
    let mut cores = CoreSet::single(some_core());
    cores.extend([1001]);
    let error = spawn(spec("partly", cores), |_| ()).unwrap_err();
    assert!(matches!(error, ThreadError::MaskDiffers { .. }), "{error}");
}

#[test]
fn a_real_time_policy_is_given_and_read_back_or_denied_with_the_setting_to_change() {
    let mut wanted = spec("fifo", CoreSet::single(some_core()));
    wanted.policy = Policy::Fifo(3);
    match spawn(wanted.clone(), |_| current_policy().unwrap()) {
        Ok(spawned) => {
            assert_eq!(spawned.placed.policy, Policy::Fifo(3));
            assert_eq!(spawned.join().unwrap(), Policy::Fifo(3));
        }
        Err(ThreadError::Policy(denied)) => {
            assert_eq!(denied.errno, Errno::EPERM);
            wanted.policy_required = false;
            let spawned = spawn(wanted, |_| ()).unwrap();
            assert_eq!(spawned.placed.policy, Policy::Other);
            assert!(spawned.placed.policy_denied.is_some());
            spawned.join().unwrap();
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn threads_of_a_real_time_thread_inherit_its_policy_or_start_as_others() {
    for (children, expected) in [
        (Children::Inherit, Policy::Fifo(2)),
        (Children::Reset, Policy::Other),
    ] {
        let mut wanted = spec("parent", CoreSet::single(some_core()));
        wanted.policy = Policy::Fifo(2);
        wanted.policy_required = false;
        wanted.children = children;
        let spawned = spawn(wanted, |placed| {
            let child = std::thread::spawn(|| current_policy().unwrap())
                .join()
                .unwrap();
            (placed.policy, child)
        })
        .unwrap();
        let (mine, child) = spawned.join().unwrap();
        let expected = if mine == Policy::Other {
            Policy::Other
        } else {
            expected
        };
        assert_eq!(child, expected, "{children:?}");
    }
}

#[test]
fn a_priority_that_does_not_exist_is_denied() {
    let mut wanted = spec("fifo", CoreSet::single(some_core()));
    wanted.policy = Policy::Fifo(100);
    let Err(ThreadError::Policy(denied)) = spawn(wanted, |_| ()) else {
        panic!("accepted")
    };
    assert_eq!(denied.errno, Errno::EINVAL);
    assert!(denied.to_string().contains("1..=99"));
    let text = PolicyDenied {
        wanted: 20,
        limit: 0,
        errno: Errno::EPERM,
    }
    .to_string();
    assert!(
        text.contains("found 0, needed 20") && text.contains("LimitRTPRIO=20"),
        "{text}"
    );
}

/// Writes to 160 KiB of stack below the caller.
#[inline(never)]
fn use_stack() {
    let mut array = [0_u8; 160 << 10];
    for byte in std::hint::black_box(&mut array).iter_mut().step_by(1024) {
        *byte = 1;
    }
    std::hint::black_box(&mut array);
}

#[test]
fn using_the_stack_of_a_placed_thread_faults_no_page() {
    let spawned = spawn(spec("stack", CoreSet::single(some_core())), |placed| {
        let before = ThreadUsage::now();
        use_stack();
        (
            placed.stack_present_bytes,
            ThreadUsage::now().since(&before),
        )
    })
    .unwrap();
    let (present, usage) = spawned.join().unwrap();
    assert!(present >= 240 << 10, "{present}");
    assert!(usage.minor_faults < 8, "40 pages were used: {usage:?}");
}

#[test]
fn a_stack_touched_by_hand_is_present_too() {
    let thread = std::thread::Builder::new().stack_size(256 << 10);
    let touched = thread.spawn(|| {
        let here = 0_u8;
        let top = std::hint::black_box(&raw const here).addr();
        let start = ThreadUsage::now();
        touch_stack(top - (200 << 10));
        let touched = ThreadUsage::now();
        use_stack();
        (touched.since(&start), ThreadUsage::now().since(&touched))
    });
    let (touching, using) = touched.unwrap().join().unwrap();
    assert!(touching.minor_faults > 20, "{touching:?}");
    assert!(using.minor_faults < 8, "{using:?}");
}

#[test]
fn usage_counts_faults_and_switches() {
    let length = std::num::NonZeroUsize::new(1 << 20).unwrap();
    // SAFETY: a new anonymous mapping at a place of the kernel's choice.
    let memory = unsafe {
        mman::mmap_anonymous(
            None,
            length,
            mman::ProtFlags::PROT_READ | mman::ProtFlags::PROT_WRITE,
            mman::MapFlags::MAP_PRIVATE,
        )
    }
    .unwrap();
    // Another test may have asked for all mappings to be locked and present: this one is not.
    // SAFETY: the range is the mapping's own, and nothing refers to it.
    unsafe { mman::munlock(memory, length.get()) }.unwrap();
    // SAFETY: as above; its contents are not needed.
    unsafe { mman::madvise(memory, length.get(), mman::MmapAdvise::MADV_DONTNEED) }.unwrap();
    let before = ThreadUsage::now();
    // SAFETY: the mapping's first byte, which nothing else refers to.
    unsafe { memory.cast::<u8>().write_volatile(1) };
    // A sleep that is over before the thread came to lie down is no switch.
    let mut usage = ThreadUsage::now().since(&before);
    for _ in 0..1000 {
        if usage.voluntary_switches >= 1 {
            break;
        }
        std::thread::sleep(std::time::Duration::from_millis(1));
        usage = ThreadUsage::now().since(&before);
    }
    // SAFETY: the mapping made above, and not used after this.
    unsafe { mman::munmap(memory, length.get()) }.unwrap();
    assert!(usage.minor_faults >= 1, "{usage:?}");
    assert!(usage.voluntary_switches >= 1, "{usage:?}");
    assert_eq!(usage.plus(&usage).minor_faults, 2 * usage.minor_faults);
}

#[test]
fn a_migration_is_counted_and_its_source_said() {
    let cores: Vec<usize> = current_cores().unwrap().iter().collect();
    std::thread::spawn(move || {
        pin(&CoreSet::single(cores[0])).unwrap();
        let mut probe = UsageProbe::open();
        let before = probe.read();
        for core in cores.iter().rev() {
            pin(&CoreSet::single(*core)).unwrap();
            probe.sample();
        }
        let usage = probe.read().since(&before);
        if cores.len() > 1 {
            assert!(
                usage.migrations >= 1,
                "{usage:?} from {:?}",
                probe.migration_source()
            );
        } else {
            assert_eq!(usage.migrations, 0);
        }
    })
    .join()
    .unwrap();
}

#[test]
fn without_the_kernels_count_changes_of_the_core_are_counted() {
    let mut probe = UsageProbe::open();
    probe.sched = None;
    probe.last_core = 0;
    for core in [0, 0, 3, 3, 0] {
        probe.note_core(core);
    }
    assert_eq!(probe.migration_source(), MigrationSource::Sampled);
    assert_eq!(probe.read().migrations, 2);
}
