"""Commands for gdb: the tasks of weir's loops, what each waits for, and their stacks.

    (gdb) source weir-gdb.py       # unless gdb has loaded it with libweir.so
    (gdb) weir tasks               # of all loops that run
    (gdb) weir tasks LOOP          # of the loop that this expression means

A task that waits is not a thread: its registers are on its stack, where the last
switch has pushed them. An unwinder shows them to gdb as the frame that called the
thread's newest frame. So nothing is written to memory, and core dumps work, too,
but only the kernel's: gdb's own omit stacks with guard pages (Linux 6.13). The debug
information of libweir is needed. Processors other than x86-64 and aarch64, and
builds with -Dfiber=ucontext, have no stacks here.
"""
import gdb
from gdb.unwinder import Unwinder, register_unwinder

# For each architecture: the size of the registers that switch.S pushes, the offset of each register
# from the stack pointer that switch.S stores, and the name of the stack pointer.
LAYOUTS = {
    "i386:x86-64": (64, {"r15": 8, "r14": 16, "r13": 24, "r12": 32, "rbx": 40,
                         "rbp": 48, "rip": 56}, "rsp"),
    "aarch64": (176, {**{f"x{19 + i}": 8 * i for i in range(11)},
                      "x30": 88, "pc": 88}, "sp"),
}


class FrameId:
    """Identifies the frame below which a task's stack is shown."""

    def __init__(self, sp, pc):
        self.sp, self.pc = sp, pc


class TaskUnwinder(Unwinder):
    """Continues the newest frame with the stack of the selected task."""

    def __init__(self):
        super().__init__("weir tasks")
        self.stack = None  # stack pointer of the selected task
        self.newest = None  # stack pointer of the thread

    def __call__(self, pending):
        if self.stack is None:
            return None
        layout = LAYOUTS.get(pending.architecture().name())
        if layout is None:
            return None
        size, registers, pointer = layout
        sp = pending.read_register(pointer)
        if int(sp) != self.newest:
            return None  # a frame of the task itself
        pc = pending.read_register("pc")
        info = pending.create_unwind_info(FrameId(sp, pc))
        word = gdb.lookup_type("unsigned long")
        for name, offset in registers.items():
            at = gdb.Value(self.stack + offset).cast(word.pointer())
            value = at.dereference()
            if name == "pc":  # its upper bits may have a signature (PAC)
                value = value & ((1 << 48) - 1)
            info.add_saved_register(name, value)
        info.add_saved_register(pointer, gdb.Value(self.stack + size).cast(word))
        return info

    def frames(self, stack):
        """Returns the frames of a task, newest first, as lines of text."""
        if gdb.selected_frame().architecture().name() not in LAYOUTS:
            return
        self.newest = int(gdb.newest_frame().read_register("sp"))
        self.stack = stack
        gdb.invalidate_cached_frames()
        try:
            frame = gdb.newest_frame().older()
            while frame is not None and frame.is_valid():
                yield describe(frame)
                frame = frame.older()
        finally:
            self.stack = None
            gdb.invalidate_cached_frames()


def describe(frame):
    sal = frame.find_sal()
    where = f" at {sal.symtab.filename}:{sal.line}" if sal.symtab else ""
    return f"{frame.name() or hex(frame.pc())}(){where}"


def running_loops():
    """Returns the running loops of all threads, without duplicates."""
    chosen = gdb.selected_thread()
    loops = []
    for thread in sorted(gdb.selected_inferior().threads(),
                         key=lambda one: one.num):
        thread.switch()
        loop = gdb.parse_and_eval("'lib/loop/call.c'::call_innermost")
        while int(loop) != 0:
            if loop not in loops:
                loops.append(loop)
            loop = loop["outer"]
    chosen.switch()
    return loops


def tasks_of(loop):
    """Returns the tasks of a loop, oldest first."""
    kind = gdb.lookup_type("struct weir_task")
    stage = int(gdb.parse_and_eval("WR_STAGE_TASKS"))
    ops = gdb.parse_and_eval("&wr_task_member_ops")
    member_at = next(field.bitpos // 8 for field in kind.fields()
                     if field.name == "member")
    head = loop["members"][stage]
    link = head["next"]
    while int(link) != int(head.address):
        member = link.cast(gdb.lookup_type("struct wr_member").pointer())
        if member["ops"] == ops:
            yield gdb.Value(int(link) - member_at).cast(kind.pointer())
        link = link["next"]


def text_of(value):
    return value.string() if int(value) != 0 else ""


def show_task(task, unwinder):
    state = str(task["state"]).removeprefix("WR_TASK_").lower()
    waiter = task["waiter"]
    wait = f" for {text_of(waiter['kind']['name'])}" if int(waiter) else ""
    name = task["name"].string() or "-"
    print(f"task {int(task['number'])} {name} {state}{wait}: "
          f"{task['fn'].format_string(symbols=True)}")
    stack = int(task["fiber"]["sp"])
    if state in ("waiting", "ready", "parked") and stack != 0:
        for line in unwinder.frames(stack):
            print(f"    {line}")


class WeirCommand(gdb.Command):
    """Commands of weir: `weir tasks [LOOP]`."""

    def __init__(self):
        super().__init__("weir", gdb.COMMAND_DATA, prefix=True)


class TasksCommand(gdb.Command):
    """List tasks, what each waits for, and its stack: `weir tasks [LOOP]`.

    Without LOOP, an expression of type weir_loop *, those of all loops that run
    are listed.
    """

    def __init__(self, unwinder):
        super().__init__("weir tasks", gdb.COMMAND_STACK)
        self.unwinder = unwinder

    def invoke(self, argument, _from_tty):
        try:
            loops = [gdb.parse_and_eval(argument)] if argument \
                else running_loops()
            for loop in loops:
                print(f"loop {hex(int(loop))}")
                for task in list(tasks_of(loop)):
                    show_task(task, self.unwinder)
        except gdb.error as error:
            raise gdb.GdbError(f"{error}; libweir's debug information is "
                               "needed, and a process or a core") from error
        if not loops:
            raise gdb.GdbError("no loop runs; name one: weir tasks LOOP")


def register():
    unwinder = TaskUnwinder()
    register_unwinder(None, unwinder, replace=True)
    WeirCommand()
    TasksCommand(unwinder)


register()
