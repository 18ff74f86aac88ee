package pgtest

import "syscall"

type sysProcAttr = syscall.SysProcAttr

func ordinaryUser(string) (*sysProcAttr, error) { return nil, nil }
