"""What people write instead of Coldsite: scripts that fail the same site over, as a competent person would write them.

They know nothing of Coldsite or of the lab: a site file, the address of Azure's Resource Manager, Microsoft's SDK or
command line.
"""
