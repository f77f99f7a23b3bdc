/* A bare-metal guest for demonstrations without a network: a multiboot kernel that greets on COM1, echoes lines, tells the time
 * stamp counter on "tsc", and powers off by ACPI (port 0x604) on "exit". 32-bit protected mode, polled serial port. */
    .set MAGIC, 0x1badb002
    .set COM1, 0x3f8
    .set LSR, COM1 + 5
    .set LINE_SIZE, 80

    .section .multiboot, "a"
    .align 4
    .long MAGIC, 0, -MAGIC

    .text
    .code32
    .globl _start
_start:
    cld
    mov $stack_top, %esp
    mov $greeting, %esi
    call puts
prompt:
    mov $prompt_text, %esi
    call puts
    call read_line
    mov $word_exit, %esi
    call line_is
    je power_off
    mov $word_tsc, %esi
    call line_is
    je show_tsc
    cmpb $0, line
    je prompt
    mov $you_said, %esi
    call puts
    mov $line, %esi
    call puts
    mov $newline, %esi
    call puts
    jmp prompt

power_off:
    mov $bye, %esi
    call puts
1:  mov $LSR, %dx           /* let the last byte leave the port */
    inb %dx, %al
    testb $0x40, %al
    jz 1b
    mov $0x604, %dx         /* PM1a control: SLP_TYP 0 (S5), SLP_EN */
    mov $0x2000, %ax
    outw %ax, %dx
2:  hlt
    jmp 2b

show_tsc:
    rdtsc
    push %eax
    mov %edx, %eax
    call put_hex
    pop %eax
    call put_hex
    mov $newline, %esi
    call puts
    jmp prompt

/* Reads a line with echo and backspace into `line`. */
read_line:
    mov $line, %edi
1:  call getc
    cmp $'\r', %al
    je 3f
    cmp $'\n', %al
    je 3f
    cmp $127, %al
    je 2f
    cmp $8, %al
    je 2f
    cmp $' ', %al
    jb 1b
    cmp $line + LINE_SIZE - 1, %edi
    jae 1b
    stosb
    call putc
    jmp 1b
2:  cmp $line, %edi
    jbe 1b
    dec %edi
    mov $rub_out, %esi
    call puts
    jmp 1b
3:  movb $0, (%edi)
    mov $newline, %esi
    jmp puts

/* Compares `line` with the string at ESI; ZF says equal. */
line_is:
    mov $line, %edi
1:  lodsb
    cmp (%edi), %al
    jne 2f
    inc %edi
    test %al, %al
    jne 1b
2:  ret

/* Prints EAX as eight hex digits. */
put_hex:
    mov %eax, %ebx
    mov $8, %ecx
1:  rol $4, %ebx
    mov %ebx, %eax
    and $15, %eax
    mov digits(%eax), %al
    call putc
    loop 1b
    ret

/* Prints the string at ESI. */
puts:
1:  lodsb
    test %al, %al
    jz 2f
    call putc
    jmp 1b
2:  ret

/* Prints AL. */
putc:
    push %eax
    mov $LSR, %dx
1:  inb %dx, %al
    testb $0x20, %al
    jz 1b
    pop %eax
    mov $COM1, %dx
    outb %al, %dx
    ret

/* Waits for a byte in AL. */
getc:
    mov $LSR, %dx
1:  pause
    inb %dx, %al
    testb $1, %al
    jz 1b
    mov $COM1, %dx
    inb %dx, %al
    ret

    .section .rodata
greeting:
    .ascii "\r\nThis is Gemel's bare-metal demonstration guest, running in 32-bit protected mode.\r\n"
    .asciz "Type a line to have it echoed, 'tsc' for the time-stamp counter, 'exit' to power off.\r\n"
prompt_text: .asciz "demo> "
you_said: .asciz "you said: "
newline: .asciz "\r\n"
rub_out: .asciz "\b \b"
bye: .asciz "power off\r\n"
word_exit: .asciz "exit"
word_tsc: .asciz "tsc"
digits: .ascii "0123456789abcdef"

    .bss
line: .skip LINE_SIZE
    .align 16
    .skip 4096
stack_top:
