/* The text of ui/qmp.schema as data of the program; read by ui/qmp_schema.c. */
    .section .rodata
    .globl qmp_schema_text
    .type qmp_schema_text, @object
qmp_schema_text:
    .incbin "ui/qmp.schema"
    .byte 0
    .size qmp_schema_text, . - qmp_schema_text
    .section .note.GNU-stack, "", @progbits
