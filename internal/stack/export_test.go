package stack

var (
	CommandLine = commandLine
	ChildrenOf  = childrenOf
)
