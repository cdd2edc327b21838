//! The shipped learning switch, run without the engine: what it leaves in its map is what the ABI says.
#![expect(clippy::unwrap_used, reason = "a failed step fails the test")]

use std::path::Path;

use vnet_abi::{
    DESC_SIZE, Desc, INFO_SIZE, Info, MAP_HEADER_SIZE, MAP_MAGIC, MAP_SLOT_HEADER_SIZE, MapHeader,
    SlotHeader, fnv1a, slot_state, verdict,
};
use wasmtime::{Engine, Instance, Linker, Memory, Module, Store};

struct Guest {
    store: Store<()>,
    instance: Instance,
    memory: Memory,
    info: Info,
}

impl Guest {
    fn start() -> Guest {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../plugins/shipped/learning_switch.wasm");
        let engine = Engine::default();
        let module = Module::new(&engine, std::fs::read(file).unwrap()).unwrap();
        let mut store = Store::new(&engine, ());
        let mut linker = Linker::new(&engine);
        linker
            .define_unknown_imports_as_default_values(&mut store, &module)
            .unwrap();
        let instance = linker.instantiate(&mut store, &module).unwrap();
        let memory = instance.get_memory(&mut store, "memory").unwrap();
        let mut guest = Guest {
            store,
            instance,
            memory,
            info: Info::from_bytes(&[0; INFO_SIZE]),
        };
        let at = guest.call("vnet_info");
        guest.info = Info::from_bytes(&guest.bytes(at));
        guest
    }

    fn call(&mut self, export: &str) -> u32 {
        let call = self
            .instance
            .get_typed_func::<(), u32>(&mut self.store, export)
            .unwrap();
        call.call(&mut self.store, ()).unwrap()
    }

    fn bytes<const N: usize>(&self, at: u32) -> [u8; N] {
        self.memory.data(&self.store)[at as usize..][..N]
            .try_into()
            .unwrap()
    }

    fn word(&self, at: u32) -> u32 {
        u32::from_le_bytes(self.bytes(at))
    }

    fn judge(&mut self, frame: &[u8], port: u16, ts_ns: u64) -> Desc {
        let off = self.info.arena + 128;
        let desc = Desc {
            off,
            len: frame.len() as u32,
            cap: 2000,
            verdict: verdict::UNSET,
            port,
            ts_ns,
            ..Desc::default()
        };
        let ring = self.info.ring;
        self.memory.write(&mut self.store, off as usize, frame).unwrap();
        self.memory
            .write(&mut self.store, ring as usize, &desc.to_bytes())
            .unwrap();
        let batch = self
            .instance
            .get_typed_func::<(u32, u32), i32>(&mut self.store, "vnet_on_batch")
            .unwrap();
        assert_eq!(batch.call(&mut self.store, (ring, 1)).unwrap(), 0);
        Desc::from_bytes(&self.bytes::<DESC_SIZE>(ring))
    }
}

#[test]
fn its_table_is_a_map_that_the_host_reads() {
    let mut guest = Guest::start();
    let table = guest.call("vnet_maps");
    assert_eq!(guest.word(table), 1);
    let at = guest.word(table + 4);
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 7]);
    frame.extend([0x81, 0, 0x60, 0x05]);
    frame.resize(60, 0);
    let judged = guest.judge(&frame, 9, 77_000);
    assert_eq!(
        (judged.verdict, judged.out_port),
        (verdict::REDIRECT, vnet_abi::FLOOD)
    );
    frame.copy_within(6..12, 0);
    frame[11] = 8;
    let judged = guest.judge(&frame, 3, 78_000);
    assert_eq!((judged.verdict, judged.out_port), (verdict::REDIRECT, 9));

    let header = MapHeader::from_bytes(&guest.bytes::<MAP_HEADER_SIZE>(at));
    assert_eq!((header.magic, header.count), (MAP_MAGIC, 2));
    assert_eq!(
        (header.key_size, header.value_size, header.capacity),
        (8, 16, 16_384)
    );
    assert_eq!(guest.bytes::<4>(header.name_ptr), *b"macs");
    assert_eq!(header.name_len, 4);
    for (station, port, seen) in [(7, 9_u8, 77_000_u64), (8, 3, 78_000)] {
        let key = [2, 0, 0, 0, 0, station, 0, 5];
        let hash = fnv1a(&key);
        let size = header.slot_size() as u32;
        let mut slot = header.slots_ptr + (hash & (header.capacity - 1)) * size;
        while guest.bytes::<8>(slot + MAP_SLOT_HEADER_SIZE as u32) != key {
            let head = SlotHeader::from_bytes(&guest.bytes(slot));
            assert_eq!(
                head.state,
                slot_state::USED,
                "station {station} is not where a search looks"
            );
            slot += size;
        }
        let head = SlotHeader::from_bytes(&guest.bytes(slot));
        assert_eq!((head.state, head.hash), (slot_state::USED, hash));
        let mut value = [0; 16];
        value[0] = port;
        value[8..].copy_from_slice(&seen.to_le_bytes());
        assert_eq!(guest.bytes::<16>(slot + header.value_offset() as u32), value);
    }
}
